// When a dead worker starts again: exponential backoff with jitter, and quarantine for a crash
// loop.
//
// Runs in: supervisor. Pure: time and randomness come from the caller, so that simulations replay.
#pragma once

#include <cstdint>
#include <deque>
#include <random>

#include "supervisor/config/daemon_config.h"

namespace tenantd {

struct RestartDecision {
  bool quarantine = false;
  std::uint64_t delay_ms = 0;  // until the next start; 0 with quarantine
  std::uint32_t deaths = 0;    // within the window, this one included
};

class RestartPolicy {
 public:
  // Notes a death at `now_ms` (monotonic) and says what follows. The delay doubles with every death
  // in the window and varies by ±25 %, so that tenants killed together do not return together.
  [[nodiscard]] RestartDecision on_death(std::uint64_t now_ms, const RestartPolicyConfig& settings,
                                         std::mt19937_64& random);
  // Forgets all deaths: an operator or a changed file asked for a fresh start.
  void reset() noexcept { deaths_ms_.clear(); }

 private:
  std::deque<std::uint64_t> deaths_ms_;  // ≤ crash_loop_count
};

}  // namespace tenantd
