#include "supervisor/attach/hello_limits.h"

#include <algorithm>

namespace tenantd {

bool HelloLimits::Bucket::take(std::uint64_t now_ms, std::uint32_t per_second) {
  const std::uint64_t full = std::uint64_t{per_second} * 1000;
  const std::uint64_t elapsed_ms = fresh ? 1000 : std::min<std::uint64_t>(now_ms - last_ms, 1000);
  fresh = false;
  last_ms = now_ms;
  milli = std::min(milli + elapsed_ms * per_second, full);
  if (milli < 1000) return false;
  milli -= 1000;
  return true;
}

bool HelloLimits::enter(uid_t uid, std::uint64_t now_ms) {
  if (pending_ >= config_.max_pending) return false;
  if (users_.size() >= max_users) {
    // Nobody is pending and a second has passed: its bucket is full again, forgetting changes
    // nothing.
    std::erase_if(users_, [now_ms](const auto& entry) {
      return entry.second.pending == 0 && entry.second.bucket.last_ms + 1000 <= now_ms;
    });
    if (users_.size() >= max_users && !users_.contains(uid)) return false;
  }
  User& user = users_[uid];
  if (user.pending >= std::max(config_.max_pending / 4, 1U)) return false;
  // The user's own bound first: what it refuses does not use up the shared one.
  if (!user.bucket.take(now_ms, config_.max_per_second_per_uid)) return false;
  if (!all_.take(now_ms, config_.max_per_second)) return false;
  ++user.pending;
  ++pending_;
  return true;
}

void HelloLimits::leave(uid_t uid) {
  const auto user = users_.find(uid);
  if (user == users_.end() || user->second.pending == 0) return;
  --user->second.pending;
  --pending_;
}

}  // namespace tenantd
