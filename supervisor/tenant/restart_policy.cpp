#include "supervisor/tenant/restart_policy.h"

#include <algorithm>

namespace tenantd {

RestartDecision RestartPolicy::on_death(std::uint64_t now_ms, const RestartPolicyConfig& settings,
                                        std::mt19937_64& random) {
  deaths_ms_.push_back(now_ms);
  const std::uint64_t oldest = now_ms - std::min(now_ms, settings.crash_loop_window_ms);
  while (deaths_ms_.front() < oldest || deaths_ms_.size() > settings.crash_loop_count) {
    deaths_ms_.pop_front();
  }
  RestartDecision decision;
  decision.deaths = static_cast<std::uint32_t>(deaths_ms_.size());
  if (decision.deaths >= settings.crash_loop_count) {
    decision.quarantine = true;
    return decision;
  }
  std::uint64_t delay = std::min(settings.backoff_min_ms, settings.backoff_max_ms);
  for (std::uint32_t i = 1; i < decision.deaths && delay < settings.backoff_max_ms; ++i) {
    delay = std::min(delay * 2, settings.backoff_max_ms);
  }
  const std::uint64_t quarter = delay / 4;
  decision.delay_ms = delay - quarter + (quarter == 0 ? 0 : random() % (2 * quarter + 1));
  return decision;
}

}  // namespace tenantd
