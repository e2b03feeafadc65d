// All rows of one tenant in a database that tenants share: what goes when the tenant leaves it.
//
// Runs in: worker, the thread that has the file. The tenant is the context's, as everywhere in the
// store; no TenantStore or HistoryStore of it may be in use on that file meanwhile.
#pragma once

#include <span>
#include <string_view>

#include "shared/base/error.h"
#include "worker/runtime/execution_context.h"
#include "worker/store/store_file.h"

namespace tenantd {

// Blocking, durable, in one transaction: all of the tenant's rows are gone, or none is. A tenant
// that has none is no error. Errors: store_degraded, unavailable.
[[nodiscard]] Status delete_tenant_rows(const ExecutionContext& context, StoreFile& file);

// The texts of the statements, for the tests that look at what SQLite makes of them.
[[nodiscard]] std::span<const std::string_view> tenant_deletion_texts() noexcept;

}  // namespace tenantd
