// Removes the cgroups of ended generations, and what is still in them.
//
// Runs in: supervisor. A group can stay busy for a moment after its last process was killed: it is
// tried again a bounded number of times, then left for the next start and reported.
#pragma once

#include <deque>
#include <functional>

#include "shared/loop/loop.h"
#include "supervisor/launch/cgroup.h"

namespace tenantd {

class CgroupReaper {
 public:
  static constexpr int max_tries = 50;
  static constexpr std::uint64_t retry_ms = 20;

  using OnGivenUp = std::function<void(const CgroupName& name, const Error& error)>;
  CgroupReaper(Loop& loop, CgroupBackend& cgroups, OnGivenUp on_given_up);

  // Kills what is left in the generation's group and removes it, now or soon.
  void reap(const CgroupName& name);
  // Reaps every group that `is_live` does not claim: leftovers of an earlier supervisor.
  void reap_leftovers(const std::function<bool(const CgroupName&)>& is_live);
  [[nodiscard]] bool idle() const noexcept { return pending_.empty(); }

 private:
  struct Pending {
    CgroupName name;
    int tries = 0;
  };
  void retry();

  CgroupBackend& cgroups_;
  OnGivenUp on_given_up_;
  std::deque<Pending> pending_;
  Timer timer_;
};

}  // namespace tenantd
