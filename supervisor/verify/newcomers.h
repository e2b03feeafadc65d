// New standard tenants that wait to be verified, one a second and no more than a bound at once.
//
// Runs in: the supervisor. A hundred thousand files that come at once must not be a hundred
// thousand verifications: a pooled tenant's says little that the one before it in the same worker
// and shard has not said. Who finds no room is counted, and is looked at by the timer's rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "shared/base/tenant_id.h"

namespace tenantd {

class Newcomers {
 public:
  static constexpr std::size_t max_waiting = 64;
  static constexpr std::uint64_t pace_ms = 1000;

  enum class Fitness : std::uint8_t { ready, not_yet, gone };
  using Judge = std::function<Fitness(const TenantId&)>;

  // False: there is no room, and it was counted.
  bool add(const TenantId& tenant);
  // The next that `judge` says is ready, and no sooner than pace_ms after the one before. Who is
  // gone is forgotten.
  [[nodiscard]] std::optional<TenantId> take(std::uint64_t now_ms, const Judge& judge);
  // Of `now_ms`, how long until take() may have one; none: nobody waits.
  [[nodiscard]] std::optional<std::uint64_t> wait_ms(std::uint64_t now_ms) const;
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  // Those without room since the last call.
  [[nodiscard]] std::uint64_t take_left_out() noexcept { return std::exchange(left_out_, 0); }
  void clear() noexcept { waiting_.clear(); }

 private:
  std::set<TenantId> waiting_;
  std::uint64_t left_out_ = 0;
  std::uint64_t next_ms_ = 0;
};

}  // namespace tenantd
