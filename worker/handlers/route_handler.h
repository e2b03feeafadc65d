// `route` and `route_batch`: which route does this text, this embedding, or both belong to.
//
// Runs in: worker, loop thread.
#pragma once

#include "worker/handlers/services.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

inline constexpr std::uint32_t max_alternatives_per_reply = 64;
inline constexpr std::uint32_t max_answers_per_reply = 64;

// user, department and labels must be printable UTF-8 and labels have keys. Error:
// invalid_argument.
[[nodiscard]] Status check_attributes(const RouteRequest& request);

// Never blocks. Errors: the router's, invalid_argument (too many alternatives or answers),
// store_degraded (no snapshot).
[[nodiscard]] Result<RouteReply> handle_route(HandlerServices& services,
                                              const ExecutionContext& context,
                                              const RouteRequest& request);

// Every item has an answer or an error of its own, as if it were a `route`. Errors of the whole:
// invalid_argument (no item, or more than max_batch_size of the tenant), store_degraded, no_tenant.
[[nodiscard]] Result<RouteBatchReply> handle_route_batch(HandlerServices& services,
                                                         const ExecutionContext& context,
                                                         const RouteBatch& request);

}  // namespace tenantd
