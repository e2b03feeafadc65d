// Reaps tenantd-network. Its outcome is seen elsewhere: in the worker that it releases or not.
//
// Runs in: the supervisor. Each ends by itself within network_timeout_s.
#pragma once

#include <list>

#include "shared/loop/loop.h"
#include "shared/os/fd.h"

namespace tenantd {

class NetworkHelpers {
 public:
  explicit NetworkHelpers(Loop& loop) : loop_(loop) {}
  // An empty descriptor is none.
  void watch(UniqueFd pidfd);

 private:
  struct Helper {
    UniqueFd pidfd;
    Poll poll;
  };
  void reap(std::list<Helper>::iterator helper);

  Loop& loop_;
  std::list<Helper> helpers_;
};

}  // namespace tenantd
