#include "supervisor/process/network_helpers.h"

#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace tenantd {

void NetworkHelpers::watch(UniqueFd pidfd) {
  if (!pidfd) return;
  const auto helper = helpers_.emplace(helpers_.end());
  helper->pidfd = std::move(pidfd);
  const Status started = helper->poll.start(loop_, helper->pidfd.get(), UV_READABLE,
                                            [this, helper](int) { reap(helper); });
  // Not watched: it stays a zombie until we end, and harms nobody.
  if (!started) helpers_.erase(helper);
}

void NetworkHelpers::reap(std::list<Helper>::iterator helper) {
  siginfo_t info{};
  (void)::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(helper->pidfd.get()), &info,
                 WEXITED | WNOHANG);
  helpers_.erase(helper);
}

}  // namespace tenantd
