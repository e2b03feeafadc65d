// The best thresholds for given questions: what fit.h repeats for every fold.
//
// Runs in: tenantctl. Pure. Thresholds are hundredths, so that people can read what is proposed.
#pragma once

#include <span>
#include <vector>

#include "client/tenantctl/analyse/fit.h"

namespace tenantd {

// What is worth how much: a right answer in scope 1, a fallback out of scope this.
struct FitUtility {
  double out_of_scope = 1;
  [[nodiscard]] double of(const FitPlan& plan, const FitQuestion& question) const noexcept;
};

// Wins minus losses of one plan against another on the same questions.
struct PairedGain {
  double sum = 0;
  double squares = 0;
  double weights = 0;
  void add(double difference, double weight) noexcept;
  // In standard deviations of what chance would give (McNemar's test, where weights are equal).
  [[nodiscard]] double deviations() const noexcept;
};

using QuestionViews = std::vector<const FitQuestion*>;

[[nodiscard]] PairedGain compare(const QuestionViews& questions, const FitUtility& utility,
                                 const FitPlan& plan, const FitPlan& against);
// `plan` with the tenant threshold that is best; the current one among equals, else the middle of
// those.
[[nodiscard]] FitPlan with_best_threshold(const QuestionViews& questions, const FitUtility& utility,
                                          FitPlan plan);
// `plan` with a threshold of its own for each route that profits by more than chance, and without
// one that does harm.
[[nodiscard]] FitPlan with_route_thresholds(const QuestionViews& questions,
                                            const FitUtility& utility, FitPlan plan);

}  // namespace tenantd
