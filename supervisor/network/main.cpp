// tenantd-network: makes the network of one worker while that waits at its barrier, releases it,
// and ends.
//
// Started by the supervisor with the descriptors of network_plan.h, no arguments and no
// environment. The only program of tenantd that uses CAP_NET_ADMIN, and the only one that links
// netlink libraries. Talks to nobody but the kernel; the worker has not run a single instruction
// yet. If it fails or dies, the barrier's end of file ends the worker, and all that it has made
// ends with the worker's namespace.
#include <sys/capability.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "shared/contract/process_contract.h"
#include "shared/os/sealed_memfd.h"
#include "supervisor/network/set_up.h"

namespace tenantd {
namespace {

// What entering a namespace of somebody else's takes, and changing it.
Status keep_few_capabilities() {
  constexpr std::array<cap_value_t, 3> kept = {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_PTRACE};
  const std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)> set(::cap_init(), ::cap_free);
  if (!set) return fail_errno("capabilities", errno);
  for (const cap_flag_t flag : {CAP_PERMITTED, CAP_EFFECTIVE}) {
    if (::cap_set_flag(set.get(), flag, kept.size(), kept.data(), CAP_SET) != 0) {
      return fail_errno("capabilities", errno);
    }
  }
  if (::cap_set_proc(set.get()) != 0) return fail_errno("CAP_NET_ADMIN", errno);
  return {};
}

Status run() {
  NetworkPlan plan;
  Status done = read_sealed_record(network_plan_fd, plan);
  if (done) done = check_network_plan(plan);
  if (done) done = keep_few_capabilities();
  if (done) done = set_up_network(plan, network_worker_fd, VirtualInterface::refuse);
  return done;
}

}  // namespace
}  // namespace tenantd

int main() {
  using namespace tenantd;
  (void)::alarm(network_timeout_s);
  const Status done = run();
  if (!done) {
    const std::string line = done.error().describe() + '\n';
    (void)!::write(network_report_fd, line.data(), line.size());
    return static_cast<int>(ExitCode::failed);
  }
  return ::write(network_barrier_fd, "g", 1) == 1 ? 0 : static_cast<int>(ExitCode::failed);
}
