// What this worker is for: which of a few topics a text is about, by words that it contains.
//
// Runs in: the example worker. Pure.
#pragma once

#include "shared/contract/tenant_settings.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd::example {

// A topic of which n words occur has the confidence 1 - 2^-n; the first of the best wins. Below the
// tenant's threshold, and where no word occurs, its fallback answers.
[[nodiscard]] RouteReply classify(const RouteRequest& request, const RouterSettings& settings);

}  // namespace tenantd::example
