// What a score of this tenant is worth: confidence fitted on the tenant's own utterances.
//
// Runs in: worker; fitted by the editor thread, read by the loop thread. Each sampled utterance is
// left out and asked again: its score with its own route is what a right answer looks like, and
// what the other routes make of it is what a text would get that belongs nowhere but is about the
// same things. Left out means: out of its route's similarities and centroid, and out of the words
// of its route; how rare each word is (idf) still counts it.
//
// Two steps. A sigmoid for each kind of score makes scores of all kinds comparable: routes are
// ordered by its logit. Then a second one turns the logit of the best route and its lead over the
// next three into the confidence: a text that many routes claim alike is likelier to belong to
// none.
#pragma once

#include <array>
#include <cstdint>

#include "shared/contract/tenant_settings.h"
#include "worker/router/fusion.h"
#include "worker/router/sigmoid.h"

namespace tenantd {

struct RouteSet;
class Searcher;

// The logits of the best few routes but one.
struct Rivals {
  static constexpr std::size_t most = 3;
  float sum = 0;
  std::size_t count = 0;
  // The best come first; what is more is not counted.
  void add(float logit) noexcept {
    if (count == most) return;
    sum += logit;
    ++count;
  }
  [[nodiscard]] float mean() const noexcept { return sum / static_cast<float>(count); }
};

struct Calibration {
  std::array<Sigmoid, 4> sigmoids{};  // by ScoreMode
  Sigmoid final{1.0F, 0.0F};          // of claim()
  std::uint32_t samples = 0;          // utterances asked; 0: defaults
  std::size_t fitted_utterances = 0;  // how many there were
  std::size_t fitted_routes = 0;
  // Expected calibration error (reliability.h) over utterances that were left out and, as texts
  // that belong nowhere, over what the other routes made of them.
  float expected_error = 0;
  float accuracy = 0;          // of utterances that were left out, how many found their route
  std::uint32_t answered = 0;  // so many of them had another utterance in their route
  // What Aggregation::automatic stands for, see decide().
  Aggregation aggregation = Aggregation::prototype_mix;
  std::uint16_t top_k = 1;
  std::uint16_t prototype_weight_e4 = 5000;

  [[nodiscard]] float logit(const FusedScore& fused) const noexcept {
    return sigmoids[static_cast<std::size_t>(fused.mode)].logit(fused.score);
  }
  // Of a route whose logit is `own`, where `rivals` has the best of the others. Rises with `own`;
  // the routes of one query have their order by it, too.
  [[nodiscard]] static float claim(float own, const Rivals& rivals) noexcept {
    return rivals.count > 0 ? own + lead_weight * (own - rivals.mean()) : own;
  }
  [[nodiscard]] float confidence(float own, const Rivals& rivals) const noexcept {
    return probability(final.logit(claim(own, rivals)));
  }
  // `settings`, with the aggregation that "automatic" stands for.
  [[nodiscard]] RouterSettings decide(const RouterSettings& settings) const noexcept;

  static constexpr float lead_weight = 0.7F;
  friend bool operator==(const Calibration&, const Calibration&) = default;
};

inline constexpr std::size_t max_calibration_samples = 512;
inline constexpr std::size_t min_calibration_samples = 96;
// Inner products that one fit may bound before it takes fewer samples.
inline constexpr std::size_t calibration_budget = 4'000'000;
// Utterances on which aggregations compete, at most.
inline constexpr std::size_t max_contest_samples = 128;

// Before any utterance was seen.
[[nodiscard]] Calibration default_calibration(const RouterSettings& settings) noexcept;
// Deterministic: the same routes and settings give the same calibration. Some ms for 1,000
// utterances.
[[nodiscard]] Calibration fit_calibration(const RouteSet& set, const RouterSettings& settings,
                                          Searcher& searcher);
// Whether a calibration that was fitted for one serves the other: they score alike.
[[nodiscard]] bool fits_alike(const RouterSettings& a, const RouterSettings& b) noexcept;
// Whether `calibration` was fitted on so different a set that the next edit's answers should not
// wait for a pause for another fit. Small sets are always refitted, large ones once several times
// as many utterances were edited as there were: so a long import pays for a few fits only.
[[nodiscard]] bool wants_refit(const Calibration& calibration, const RouteSet& set,
                               std::size_t edited_utterances) noexcept;

}  // namespace tenantd
