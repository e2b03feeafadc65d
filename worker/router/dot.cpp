#include "worker/router/dot.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace tenantd {

double sum_of_squares(std::span<const float> vector) noexcept {
  constexpr std::size_t lanes = 8;  // independent sums that a compiler may put into vectors
  std::array<double, lanes> sums{};
  std::size_t i = 0;
  for (; i + lanes <= vector.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const auto value = static_cast<double>(vector[i + lane]);
      sums[lane] += value * value;
    }
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  for (; i < vector.size(); ++i) {
    total += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
  }
  return total;
}

bool normalise(std::span<const float> vector, std::span<float> out) noexcept {
  const double squares = sum_of_squares(vector);
  if (!(squares > 0) || !std::isfinite(squares)) return false;
  const double scale = 1.0 / std::sqrt(squares);
  for (std::size_t i = 0; i < vector.size(); ++i) {
    out[i] = static_cast<float>(static_cast<double>(vector[i]) * scale);
  }
  return true;
}

}  // namespace tenantd
