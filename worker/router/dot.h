// Lengths of vectors.
//
// Runs in: worker. Products of vectors are in kernels/.
#pragma once

#include <span>

namespace tenantd {

// Eight partial sums in double. Finite exactly if every float is: their squares cannot overflow a
// double.
[[nodiscard]] double sum_of_squares(std::span<const float> vector) noexcept;

// Scales to Euclidean length 1. False, `out` untouched, when the length is zero or not finite. Same
// size; may be the same memory.
[[nodiscard]] bool normalise(std::span<const float> vector, std::span<float> out) noexcept;

}  // namespace tenantd
