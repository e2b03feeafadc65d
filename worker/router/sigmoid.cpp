#include "worker/router/sigmoid.h"

#include <algorithm>
#include <cmath>

namespace tenantd {
namespace {

// Standard deviations of the prior: of the logit at the expected midpoint, and of the slope
// relative to the expected one.
constexpr double offset_deviation = 1.5;
constexpr double slope_deviation = 1.0;
constexpr int max_steps = 50;

struct Gradient {
  double slope = 0, offset = 0;               // first derivatives
  double slope2 = 0, offset2 = 0, cross = 0;  // second derivatives
};

// Of the penalised negative log likelihood at logit = slope · (score - midpoint) + offset.
Gradient differentiate(std::span<const LabelledScore> examples, const Sigmoid& prior, double slope,
                       double offset, double target_yes, double target_no) {
  const double expected = static_cast<double>(prior.slope);
  const double slope_precision = 1.0 / std::pow(slope_deviation * expected, 2);
  const double offset_precision = 1.0 / std::pow(offset_deviation, 2);
  Gradient g;
  g.slope = slope_precision * (slope - expected);
  g.slope2 = slope_precision;
  g.offset = offset_precision * offset;
  g.offset2 = offset_precision;
  for (const LabelledScore& example : examples) {
    const double x = static_cast<double>(example.score - prior.midpoint);
    const double p = 1.0 / (1.0 + std::exp(-(slope * x + offset)));
    const auto weight = static_cast<double>(example.weight);
    const double error = weight * (p - (example.belongs ? target_yes : target_no));
    const double curvature = weight * std::max(p * (1 - p), 1e-9);
    g.slope += error * x;
    g.offset += error;
    g.slope2 += curvature * x * x;
    g.offset2 += curvature;
    g.cross += curvature * x;
  }
  return g;
}

}  // namespace

float probability(float logit) noexcept { return 1.0F / (1.0F + std::exp(-logit)); }

Sigmoid fit_sigmoid(std::span<const LabelledScore> examples, const Sigmoid& prior) {
  double yes = 0;
  double no = 0;
  for (const LabelledScore& example : examples) {
    (example.belongs ? yes : no) += static_cast<double>(example.weight);
  }
  const double target_yes = (yes + 1) / (yes + 2);
  const double target_no = 1 / (no + 2);
  const double least = static_cast<double>(prior.slope) / 4;
  const double most = static_cast<double>(prior.slope) * 8;
  double slope = static_cast<double>(prior.slope);
  double offset = 0;
  for (int step = 0; step < max_steps; ++step) {
    const Gradient g = differentiate(examples, prior, slope, offset, target_yes, target_no);
    const double determinant = g.slope2 * g.offset2 - g.cross * g.cross;
    double slope_step = (g.offset2 * g.slope - g.cross * g.offset) / determinant;
    double offset_step = (g.slope2 * g.offset - g.cross * g.slope) / determinant;
    const bool clamped = slope - slope_step < least || slope - slope_step > most;
    if (clamped) {  // at the bound only the offset is free
      const double bounded = std::clamp(slope - slope_step, least, most);
      slope_step = slope - bounded;
      offset_step = (g.offset - g.cross * slope_step) / g.offset2;
    }
    // The likelihood is convex but Newton overshoots far from the optimum: at most 3 logits a step.
    const double scale = std::min(1.0, 3.0 / std::max(std::abs(offset_step), 1e-9));
    slope -= scale * slope_step;
    offset -= scale * offset_step;
    if (std::abs(slope_step) < 1e-6 && std::abs(offset_step) < 1e-6) break;
  }
  if (!std::isfinite(slope) || !std::isfinite(offset)) return prior;
  return {static_cast<float>(slope),
          static_cast<float>(static_cast<double>(prior.midpoint) - offset / slope)};
}

}  // namespace tenantd
