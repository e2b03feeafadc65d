// `routes_edit`, the part on the loop thread: may it go to the editor at all.
//
// Runs in: worker, loop thread. What the edits say is judged by the editor (worker/router).
#pragma once

#include "worker/handlers/services.h"
#include "worker/handlers/translate.h"

namespace tenantd {

// Errors: store_degraded (no snapshot), invalid_argument (none, or more than max_batch_size of the
// tenant).
[[nodiscard]] Status check_edit(const HandlerServices& services, const RoutesEdit& request);

}  // namespace tenantd
