#include "supervisor/process/cgroup_reaper.h"

#include <utility>

namespace tenantd {

CgroupReaper::CgroupReaper(Loop& loop, CgroupBackend& cgroups, OnGivenUp on_given_up)
    : cgroups_(cgroups), on_given_up_(std::move(on_given_up)), timer_(loop) {}

void CgroupReaper::reap(const CgroupName& name) {
  if (cgroups_.mode() == CgroupMode::none || cgroups_.remove(name)) return;
  (void)cgroups_.kill(name);
  pending_.push_back({name, 0});
  if (!timer_.active()) timer_.start(retry_ms, [this] { retry(); });
}

void CgroupReaper::reap_leftovers(const std::function<bool(const CgroupName&)>& is_live) {
  const auto names = cgroups_.list();
  if (!names) return;
  for (const CgroupName& name : *names) {
    if (!is_live(name)) reap(name);
  }
}

void CgroupReaper::retry() {
  for (auto& one : std::exchange(pending_, {})) {
    const Status removed = cgroups_.remove(one.name);
    if (removed) continue;
    if (++one.tries >= max_tries) {
      on_given_up_(one.name, removed.error());
      continue;
    }
    (void)cgroups_.kill(one.name);
    pending_.push_back(one);
  }
  if (!pending_.empty()) timer_.start(retry_ms, [this] { retry(); });
}

}  // namespace tenantd
