// A query's floats as integers of 15 bits and as the two bytes of each: plain code that the
// compiler puts into vectors for each kind of CPU.
//
// Runs in: worker. Inlined into the kernels' own functions, whose target they take on; integers and
// single multiplications only, so that all of them give the same bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "worker/router/kernels/kernels.h"

namespace tenantd {

inline constexpr std::int32_t query_steps = 16'256;  // 127 · 128

// Without their sign, floats have the order of their bits; infinity and then NaN come last.
[[gnu::always_inline]] inline float largest_magnitude_of(const float* values, std::size_t count) {
  std::int32_t largest = 0;
  for (std::size_t j = 0; j < count; ++j) {
    largest = std::max(largest, std::bit_cast<std::int32_t>(values[j]) & 0x7FFFFFFF);
  }
  return std::bit_cast<float>(largest);
}

[[gnu::always_inline]] inline SplitSums split_values(const float* values, std::size_t count,
                                                     float steps, const SplitCodes& out) {
  SplitSums sums;
  std::int16_t* const fine = out.fine;
  std::int16_t* const coarse = out.coarse;
  std::int8_t* const high = out.high;
  std::int8_t* const low = out.low;
  for (std::size_t j = 0; j < count; ++j) {
    const float scaled = values[j] * steps;
    const auto nearest = static_cast<std::int32_t>(scaled + (scaled < 0 ? -0.5F : 0.5F));
    const std::int32_t code = std::clamp(nearest, -query_steps, query_steps);
    const std::int32_t upper = (code + 64) >> 7;
    const std::int32_t rest = code - upper * 128;
    fine[j] = static_cast<std::int16_t>(code);
    coarse[j] = static_cast<std::int16_t>(upper);
    high[j] = static_cast<std::int8_t>(upper);
    low[j] = static_cast<std::int8_t>(rest);
    sums.fine += code;
    sums.coarse += upper;
    sums.rest_squares += rest * rest;
  }
  return sums;
}

}  // namespace tenantd
