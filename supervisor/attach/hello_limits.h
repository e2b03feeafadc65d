// How many connections may say hello: at once and per second, together and per user.
//
// Runs in: supervisor. One user cannot use up what all users share: each has a quarter of the
// pending places and its own rate. Several together cannot either: a quarter of the places and of
// the shared rate is kept for users who ask for little. Constant time, whoever asks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>

#include "supervisor/config/daemon_config.h"

namespace tenantd {

class HelloLimits {
 public:
  explicit HelloLimits(const HelloConfig& config) : config_(config) {}
  void configure(const HelloConfig& config) { config_ = config; }

  // Takes a place for `uid`; false: over a bound. Each true is given back by leave().
  [[nodiscard]] bool enter(uid_t uid, std::uint64_t now_ms);
  void leave(uid_t uid);
  [[nodiscard]] std::uint32_t pending() const noexcept { return pending_; }

 private:
  // A token bucket in thousandths, as large as one second's worth.
  struct Bucket {
    std::uint64_t milli = 0;
    std::uint64_t last_ms = 0;
    bool fresh = true;
    void fill(std::uint64_t now_ms, std::uint32_t per_second);
    [[nodiscard]] bool take();
  };
  struct User {
    Bucket bucket;
    std::uint32_t pending = 0;
  };
  static constexpr std::size_t max_users = 4096;  // remembered
  static constexpr int looked_at_to_forget = 32;

  // The user's entry; null when everybody who is remembered has a connection pending.
  [[nodiscard]] User* remember(uid_t uid);
  [[nodiscard]] bool has_place(const User& user) const;

  HelloConfig config_;
  Bucket all_;
  std::uint32_t pending_ = 0;
  std::unordered_map<uid_t, User> users_;
};

}  // namespace tenantd
