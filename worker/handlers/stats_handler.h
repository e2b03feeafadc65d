// `tenant_stats_request`: what this worker has done for the tenant.
//
// Runs in: worker, loop thread.
#pragma once

#include "shared/protocol/stats_messages.h"
#include "worker/handlers/services.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

// Errors: no_tenant (the context is another tenant's).
[[nodiscard]] Result<TenantStats> handle_stats(const HandlerServices& services,
                                               const ExecutionContext& context);

}  // namespace tenantd
