// From a score to a probability: Platt scaling with a prior.
//
// Runs in: worker. Platt 1999, "Probabilistic Outputs for Support Vector Machines"; Newton's method
// as in Lin, Lin and Weng 2007. The prior keeps a handful of examples from deciding everything.
#pragma once

#include <span>

namespace tenantd {

// confidence = 1 / (1 + exp(-logit)), strictly rising with the score (slope > 0).
struct Sigmoid {
  float slope = 12.0F;
  float midpoint = 0.5F;  // the score of confidence ½
  [[nodiscard]] float logit(float score) const noexcept { return slope * (score - midpoint); }
  friend bool operator==(const Sigmoid&, const Sigmoid&) = default;
};

[[nodiscard]] float probability(float logit) noexcept;

struct LabelledScore {
  float score;
  float weight;  // > 0
  bool belongs;  // the score of a text with the route that it belongs to
};

// The sigmoid under which `examples` are likeliest, given that `prior` was expected. Without
// examples the prior itself. The slope stays between a quarter and eight times the prior's.
[[nodiscard]] Sigmoid fit_sigmoid(std::span<const LabelledScore> examples, const Sigmoid& prior);

}  // namespace tenantd
