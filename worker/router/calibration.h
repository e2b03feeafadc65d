// What a score of this tenant is worth: confidence fitted on the tenant's own utterances.
//
// Runs in: worker; fitted by the editor thread, read by the loop thread. Each sampled utterance is
// left out and asked again: its score with its own route is what a right answer looks like, the
// best score of any other route is what a text that belongs nowhere would get.
#pragma once

#include <array>
#include <cstdint>

#include "shared/contract/tenant_settings.h"
#include "worker/router/fusion.h"
#include "worker/router/sigmoid.h"

namespace tenantd {

struct RouteSet;
class Searcher;

struct Calibration {
  std::array<Sigmoid, 4> sigmoids{};  // by ScoreMode
  std::uint32_t samples = 0;          // utterances asked; 0: defaults
  std::size_t fitted_utterances = 0;  // how many there were
  std::size_t fitted_routes = 0;

  [[nodiscard]] float logit(const FusedScore& fused) const noexcept {
    return sigmoids[static_cast<std::size_t>(fused.mode)].logit(fused.score);
  }
  friend bool operator==(const Calibration&, const Calibration&) = default;
};

inline constexpr std::size_t max_calibration_samples = 512;
inline constexpr std::size_t min_calibration_samples = 96;
// Inner products that one fit may bound before it takes fewer samples.
inline constexpr std::size_t calibration_budget = 4'000'000;

// Before any utterance was seen.
[[nodiscard]] Calibration default_calibration(const RouterSettings& settings) noexcept;
// Deterministic: the same routes and settings give the same calibration. Some ms for 1,000
// utterances.
[[nodiscard]] Calibration fit_calibration(const RouteSet& set, const RouterSettings& settings,
                                          Searcher& searcher);
// Whether `calibration` was fitted on so different a set that answers profit from another fit.
// Small sets are always refitted, large ones after they changed by a fifth.
[[nodiscard]] bool wants_refit(const Calibration& calibration, const RouteSet& set,
                               std::size_t edited_utterances) noexcept;

}  // namespace tenantd
