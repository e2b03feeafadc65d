#include "supervisor/verify/newcomers.h"

namespace tenantd {

bool Newcomers::add(const TenantId& tenant) {
  if (waiting_.contains(tenant)) return true;
  if (waiting_.size() >= max_waiting) {
    ++left_out_;
    return false;
  }
  waiting_.insert(tenant);
  return true;
}

std::optional<TenantId> Newcomers::take(std::uint64_t now_ms, const Judge& judge) {
  if (now_ms < next_ms_) return std::nullopt;
  for (auto one = waiting_.begin(); one != waiting_.end();) {
    const Fitness fitness = judge(*one);
    if (fitness == Fitness::not_yet) {
      ++one;
      continue;
    }
    const TenantId tenant = *one;
    one = waiting_.erase(one);
    if (fitness == Fitness::gone) continue;
    next_ms_ = now_ms + pace_ms;
    return tenant;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Newcomers::wait_ms(std::uint64_t now_ms) const {
  if (waiting_.empty()) return std::nullopt;
  return now_ms < next_ms_ ? next_ms_ - now_ms : 0;
}

}  // namespace tenantd
