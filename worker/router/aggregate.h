// How the similarities of a route's utterances become one score.
//
// Runs in: worker. These sums are the definition: every way of finding a score ends here, with the
// same numbers in the same order. All rise with each of their values, also after rounding, so that
// bounds of the values give a bound of the score.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>

#include "shared/contract/tenant_settings.h"

namespace tenantd {

// Every aggregation is a mix of the route's centroid and of the mean of its k largest similarities.
struct Aggregator {
  float centroid_weight = 0;  // [0,1]; 0: the largest alone, 1: the centroid alone
  bool as_mean = false;       // the centroid as long as the mean of the vectors is
  std::size_t k = 1;          // ≥ 1

  [[nodiscard]] bool needs_centroid() const noexcept { return centroid_weight > 0; }
  [[nodiscard]] bool needs_rows() const noexcept { return centroid_weight < 1; }
  // What is not needed is not looked at. Rises with both.
  [[nodiscard]] float mix(float centroid, float largest) const noexcept {
    if (!needs_centroid()) return largest;
    if (!needs_rows()) return centroid;
    return centroid_weight * centroid + (1.0F - centroid_weight) * largest;
  }
};

// `aggregation`: a route's own, or the tenant's, with "automatic" decided (Calibration::decide()).
[[nodiscard]] inline Aggregator make_aggregator(Aggregation aggregation,
                                                const RouterSettings& settings) noexcept {
  switch (aggregation) {
    case Aggregation::max:
      return {0, false, 1};
    case Aggregation::mean:
      return {1, true, 1};
    case Aggregation::centroid:
      return {1, false, 1};
    case Aggregation::top_k_mean:
      return {0, false, settings.top_k};
    case Aggregation::prototype_mix:
    case Aggregation::automatic:
      break;
  }
  return {static_cast<float>(settings.prototype_weight_e4) * 1e-4F, false, settings.top_k};
}

struct ThreeLargest {
  float first = -std::numeric_limits<float>::infinity();
  float second = first;
  float third = first;
};

// Without a branch that depends on values: three is the default of top-k means.
[[nodiscard]] inline ThreeLargest three_largest(std::span<const float> values) noexcept {
  ThreeLargest best;
  for (const float value : values) {
    const float to_second = std::min(best.first, value);
    best.first = std::max(best.first, value);
    const float to_third = std::min(best.second, to_second);
    best.second = std::max(best.second, to_second);
    best.third = std::max(best.third, to_third);
  }
  return best;
}

// The mean of the `k` largest, added from the largest down. 0 without values. Reorders `values`.
[[nodiscard]] inline float mean_of_largest(std::span<float> values, std::size_t k) noexcept {
  k = std::min(k, values.size());
  if (k == 0) return 0;
  if (k == 3) {
    const ThreeLargest best = three_largest(values);
    return (best.first + best.second + best.third) / 3.0F;
  }
  const auto end = values.begin() + static_cast<std::ptrdiff_t>(k);
  std::partial_sort(values.begin(), end, values.end(), std::greater<>());
  float sum = 0;
  for (std::size_t i = 0; i < k; ++i) sum += values[i];
  return sum / static_cast<float>(k);
}

// The k-th largest; 1 ≤ k ≤ values.size(). Reorders `values`.
[[nodiscard]] inline float kth_largest(std::span<float> values, std::size_t k) noexcept {
  if (k == 3) return three_largest(values).third;
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(values.begin(), place, values.end(), std::greater<>());
  return *place;
}

// BM25 is unbounded; half of the scale is reached at a score of 8.
[[nodiscard]] constexpr float saturate_bm25(float sum) noexcept { return sum / (sum + 8.0F); }

}  // namespace tenantd
