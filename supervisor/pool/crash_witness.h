// Whose request a pooled worker ran when it died, by the file that it leaves behind.
//
// Runs in: supervisor, once the process is dead. The file is the worker's: anything may be in it,
// and what it says costs the named tenant its place in the pool, nothing else.
#pragma once

#include <optional>
#include <string>

#include "shared/base/tenant_id.h"
#include "supervisor/tenant/worker.h"

namespace tenantd {

// `directory` is the worker's. Out of memory: who held the most; a signal of the worker's own
// doing: whose request ran, or else whose edit. None: nobody is to blame, or nobody says.
[[nodiscard]] std::optional<TenantId> find_culprit(const std::string& directory,
                                                   const DeathCause& cause);

}  // namespace tenantd
