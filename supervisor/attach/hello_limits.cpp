#include "supervisor/attach/hello_limits.h"

#include <algorithm>

namespace tenantd {

void HelloLimits::Bucket::fill(std::uint64_t now_ms, std::uint32_t per_second) {
  const std::uint64_t full = std::uint64_t{per_second} * 1000;
  const std::uint64_t elapsed_ms = fresh ? 1000 : std::min<std::uint64_t>(now_ms - last_ms, 1000);
  fresh = false;
  last_ms = now_ms;
  milli = std::min(milli + elapsed_ms * per_second, full);
}

bool HelloLimits::Bucket::take() {
  if (milli < 1000) return false;
  milli -= 1000;
  return true;
}

// Somebody with thousands of uids (a subordinate range) neither grows the table nor locks others
// out of it: a user without a connection is forgotten for a new one.
HelloLimits::User* HelloLimits::remember(uid_t uid) {
  if (users_.size() >= max_users && !users_.contains(uid)) {
    auto it = users_.begin();
    for (int i = 0; i < looked_at_to_forget && it->second.pending > 0; ++i) {
      if (++it == users_.end()) return nullptr;
    }
    if (it->second.pending > 0) return nullptr;
    users_.erase(it);
  }
  return &users_[uid];
}

bool HelloLimits::has_place(const User& user) const {
  const std::uint32_t quarter = std::max(config_.max_pending / 4, 1U);
  if (pending_ >= config_.max_pending || user.pending >= quarter) return false;
  const bool few = user.pending < std::max(quarter / 16, 1U);
  return few || pending_ < config_.max_pending - quarter;
}

bool HelloLimits::enter(uid_t uid, std::uint64_t now_ms) {
  if (pending_ >= config_.max_pending) return false;
  User* const user = remember(uid);
  if (user == nullptr || !has_place(*user)) return false;
  // The user's own bound first: what it refuses does not use up the shared one.
  user->bucket.fill(now_ms, config_.max_per_second_per_uid);
  all_.fill(now_ms, config_.max_per_second);
  const std::uint64_t most_of_own = std::uint64_t{config_.max_per_second_per_uid} * 875;
  const std::uint64_t quarter_of_all = std::uint64_t{config_.max_per_second} * 250;
  const bool asks_for_little = user->bucket.milli >= most_of_own;
  if (!user->bucket.take()) return false;
  if (!asks_for_little && all_.milli < quarter_of_all) return false;
  if (!all_.take()) return false;
  ++user->pending;
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
