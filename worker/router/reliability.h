// How far confidences are from how often they are right.
//
// Runs in: worker. Naeini, Cooper and Hauskrecht 2015, "Obtaining Well Calibrated Probabilities
// Using Bayesian Binning".
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace tenantd {

class ReliabilityBins {
 public:
  // `confidence` in [0,1].
  void add(float confidence, bool right, float weight) noexcept {
    const auto index = static_cast<std::size_t>(confidence * static_cast<float>(count));
    Bin& bin = bins_[std::min(index, count - 1)];
    bin.weight += static_cast<double>(weight);
    bin.confidence += static_cast<double>(confidence * weight);
    bin.right += right ? static_cast<double>(weight) : 0.0;
  }
  // The expected calibration error: over ten bins of confidence, the mean distance between how
  // confident and how often right answers were. 0 without answers.
  [[nodiscard]] float expected_error() const noexcept {
    double all = 0;
    double distance = 0;
    for (const Bin& bin : bins_) {
      all += bin.weight;
      distance += std::abs(bin.confidence - bin.right);
    }
    return all > 0 ? static_cast<float>(distance / all) : 0.0F;
  }

 private:
  static constexpr std::size_t count = 10;
  struct Bin {
    double weight = 0;
    double confidence = 0;
    double right = 0;
  };
  std::array<Bin, count> bins_{};
};

}  // namespace tenantd
