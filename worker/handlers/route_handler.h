// `route`: which route does this text, this embedding, or both belong to.
//
// Runs in: worker, loop thread.
#pragma once

#include "worker/handlers/services.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

inline constexpr std::uint32_t max_alternatives_per_reply = 64;

// user, department and labels must be printable UTF-8 and labels have keys. Error:
// invalid_argument.
[[nodiscard]] Status check_attributes(const RouteRequest& request);

// Never blocks. Errors: the router's, invalid_argument (too many alternatives), store_degraded (no
// snapshot).
[[nodiscard]] Result<RouteReply> handle_route(HandlerServices& services,
                                              const ExecutionContext& context,
                                              const RouteRequest& request);

}  // namespace tenantd
