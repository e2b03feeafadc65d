// Gives a process that waits at its barrier the network of its plan.
//
// Runs in: tenantd-network, which ends up in the network namespace of that process.
#pragma once

#include "shared/base/error.h"
#include "shared/contract/network_plan.h"

namespace tenantd {

// Errors: invalid_argument naming the field. The plan is the supervisor's own: a difference is a
// bug of ours.
[[nodiscard]] Status check_network_plan(const NetworkPlan& plan);

// Whether an interface goes back to the host when its namespace ends: those of device drivers do,
// virtual ones are destroyed. Error: unsupported.
[[nodiscard]] Status check_returns(const std::string& name, const std::string& kind);

// What becomes of an interface that would not come back.
enum class VirtualInterface : std::uint8_t { refuse, take };

// Everything in the order that never lets a packet pass that the rules would drop. On an error what
// was made ends with the namespace. `worker_fd`: a pidfd. Errors: internal with errno and the step,
// not_found (the interface), unsupported, already_exists (a link of the same name that is not
// ours).
[[nodiscard]] Status set_up_network(const NetworkPlan& plan, int worker_fd,
                                    VirtualInterface virtual_interface);

}  // namespace tenantd
