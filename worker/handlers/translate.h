// Between the protocol's messages and the router's types, field by field.
//
// Runs in: worker. Values are moved, not judged: the router validates.
#pragma once

#include <vector>

#include "shared/protocol/routing_messages.h"
#include "worker/router/types.h"

namespace tenantd {

// Views of the result point where the request's do.
[[nodiscard]] RouteQuery to_query(const RouteRequest& request);
// Into an empty reply: one that is made where it is sent from need not be moved there.
void fill_reply(RouteReply& reply, RouteDecision&& decision);
[[nodiscard]] RuleMessage to_message(const Rule& rule);
[[nodiscard]] std::vector<RouteEdit> to_edits(RoutesEdit&& message);

}  // namespace tenantd
