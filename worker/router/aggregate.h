// How the similarities of a route's utterances become one score.
//
// Runs in: worker. These sums are the definition: every way of finding a score ends here, with the
// same numbers in the same order. All rise with each of their values, also after rounding, so that
// bounds of the values give a bound of the score.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>

namespace tenantd {

// The mean of the `k` largest, added from the largest down. 0 without values. Reorders `values`.
[[nodiscard]] inline float mean_of_largest(std::span<float> values, std::size_t k) noexcept {
  k = std::min(k, values.size());
  if (k == 0) return 0;
  const auto end = values.begin() + static_cast<std::ptrdiff_t>(k);
  std::partial_sort(values.begin(), end, values.end(), std::greater<>());
  float sum = 0;
  for (std::size_t i = 0; i < k; ++i) sum += values[i];
  return sum / static_cast<float>(k);
}

// BM25 is unbounded; half of the scale is reached at a score of 8.
[[nodiscard]] constexpr float saturate_bm25(float sum) noexcept { return sum / (sum + 8.0F); }

}  // namespace tenantd
