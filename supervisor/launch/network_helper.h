// Starts tenantd-network, which makes the network of a child that waits at its barrier and then
// releases it.
//
// Runs in: the supervisor, which neither waits for it nor parses anything of its answers: its end
// is seen through the pidfd, and the worker's death says that it failed.
#pragma once

#include <string>

#include "shared/base/error.h"
#include "shared/contract/network_plan.h"
#include "shared/os/fd.h"

namespace tenantd {

struct NetworkHelper {
  UniqueFd pidfd;   // of our child, to be reaped; empty: the program needs no network
  UniqueFd report;  // read end, non-blocking: one line if it failed
};

// `worker_pidfd` is the waiting child, `barrier_write` the end that releases it; both are copied.
// Errors: not_found (the program), internal with errno.
[[nodiscard]] Result<NetworkHelper> start_network_helper(const std::string& program,
                                                         const NetworkPlan& plan, int worker_pidfd,
                                                         int barrier_write);

}  // namespace tenantd
