// The packet filter of a worker's network namespace, as text for nftables.
//
// Runs in: tenantd-network. Source: nft(8).
#pragma once

#include <string>
#include <string_view>

#include "shared/contract/network_plan.h"

namespace tenantd {

// One table: what may leave by `interface` is the plan's list, what may come in is its answers.
[[nodiscard]] std::string ruleset_text(const NetworkPlan& plan, std::string_view interface);

}  // namespace tenantd
