// Chooses thresholds and signal weights for an objective, and says honestly what they gain.
//
// Runs in: tenantctl. Pure, and the same for the same seed. Questions were asked under several
// candidates: ways of scoring, the tenant's own first. A plan is a candidate, a threshold for the
// tenant and some for routes. What a plan gains is measured by cross-validation of the whole choice
// (Stone 1974; Varma and Simon 2006, "Bias in error estimation when using cross-validation for
// model selection"): questions that a plan was chosen on never judge it. A plan that does not win
// by more than chance is not proposed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tenantd {

inline constexpr std::uint32_t no_route = 0xffffffffU;

struct FitAnswer {
  std::uint32_t route = no_route;  // the best; none: nothing was found
  float confidence = 0;
};

struct FitQuestion {
  std::uint32_t expected = no_route;  // none: out of scope, the fallback is right
  double weight = 1;                  // > 0
  std::uint32_t group = 0;            // questions of one group are never in different folds
  std::vector<FitAnswer> answers;     // one a candidate
};

struct FitPlan {
  std::size_t candidate = 0;
  float threshold = 0.5F;
  std::vector<std::optional<float>> route_thresholds;  // one a route; none: the tenant's
  friend bool operator==(const FitPlan&, const FitPlan&) = default;
};

struct FitOptions {
  // None: as many right decisions as possible. Else: as many of those in scope as possible, while
  // this share of those out of scope gets the fallback.
  std::optional<double> out_of_scope_recall;
  std::size_t folds = 5;
  std::uint64_t seed = 1;
};

// Of weighted questions.
struct FitMeasures {
  double in_scope = 0;
  double in_scope_right = 0;
  double out_of_scope = 0;
  double out_of_scope_found = 0;
  std::size_t questions = 0;
  [[nodiscard]] double accuracy() const noexcept;
  [[nodiscard]] double in_scope_accuracy() const noexcept;
  [[nodiscard]] double out_of_scope_recall() const noexcept;
};

struct FitResult {
  FitMeasures before;  // of the plan as it is
  FitMeasures after;   // of what would be chosen, each question judged by a plan that never saw it
  // What the objective's share changes by, with its 95 % interval (paired, normal).
  double gain = 0;
  double gain_low = 0;
  double gain_high = 0;
  bool is_better = false;  // by more than chance; else `plan` is the current one
  FitPlan plan;            // chosen on all questions
};

// Whether the fallback answers; a confidence that equals the threshold is enough.
[[nodiscard]] bool falls_back(const FitPlan& plan, const FitAnswer& answer) noexcept;
[[nodiscard]] FitMeasures measure(std::span<const FitQuestion> questions, const FitPlan& plan);
// Questions all have as many answers as the first; `current.route_thresholds` has one entry a
// route. Fewer than two groups, or no question: the current plan.
[[nodiscard]] FitResult fit_plan(std::span<const FitQuestion> questions, const FitPlan& current,
                                 const FitOptions& options);

}  // namespace tenantd
