#include "client/tenantctl/analyse/fit_thresholds.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tenantd {
namespace {

constexpr std::size_t steps = 100;     // thresholds 0, 0.01, … 1
constexpr double surely_better = 2.0;  // standard deviations: many routes are tried
constexpr std::size_t min_questions = 8;

float threshold_of(std::size_t step) noexcept {
  return static_cast<float>(step) / static_cast<float>(steps);
}

// What each threshold is worth to the questions that were added.
class Curve {
 public:
  void add(const FitQuestion& question, const FitAnswer& answer, const FitUtility& utility) {
    // The highest step at which it is still answered.
    auto step = static_cast<std::size_t>(
        std::clamp(answer.confidence, 0.0F, 1.0F) * static_cast<float>(steps) + 1.0F);
    step = std::min(step, steps);
    while (step > 0 && answer.confidence < threshold_of(step)) --step;
    if (question.expected == no_route) {
      refused_after_[step] += question.weight * utility.out_of_scope;
    } else if (answer.route == question.expected) {
      right_until_[step] += question.weight;
    }
  }
  // By step.
  [[nodiscard]] std::array<double, steps + 1> worth() const {
    std::array<double, steps + 1> worth{};
    double right = 0;
    for (std::size_t step = steps + 1; step-- > 0;) worth[step] = right += right_until_[step];
    double refused = 0;
    for (std::size_t step = 0; step <= steps; ++step) {
      worth[step] += refused;
      refused += refused_after_[step];
    }
    return worth;
  }

 private:
  std::array<double, steps + 1> right_until_{};
  std::array<double, steps + 1> refused_after_{};
};

// The middle of the longest run of best steps.
float best_threshold(const std::array<double, steps + 1>& worth) {
  const double most = *std::max_element(worth.begin(), worth.end());
  const auto is_best = [&](std::size_t step) { return worth[step] >= most - 1e-9; };
  std::size_t best_begin = 0;
  std::size_t best_length = 0;
  for (std::size_t begin = 0; begin <= steps;) {
    std::size_t end = begin;
    while (end <= steps && is_best(end)) ++end;
    if (end - begin > best_length) {
      best_begin = begin;
      best_length = end - begin;
    }
    begin = std::max(end, begin + 1);
  }
  return threshold_of(best_begin + (best_length - 1) / 2);
}

}  // namespace

bool falls_back(const FitPlan& plan, const FitAnswer& answer) noexcept {
  if (answer.route == no_route) return true;
  const bool has_own = answer.route < plan.route_thresholds.size() &&
                       plan.route_thresholds[answer.route].has_value();
  return answer.confidence < (has_own ? *plan.route_thresholds[answer.route] : plan.threshold);
}

double FitUtility::of(const FitPlan& plan, const FitQuestion& question) const noexcept {
  const FitAnswer& answer = question.answers[plan.candidate];
  const bool refused = falls_back(plan, answer);
  if (question.expected == no_route) return refused ? question.weight * out_of_scope : 0.0;
  return !refused && answer.route == question.expected ? question.weight : 0.0;
}

void PairedGain::add(double difference, double weight) noexcept {
  sum += difference;
  squares += difference * difference;
  weights += weight;
}

double PairedGain::deviations() const noexcept {
  return squares > 0 ? sum / std::sqrt(squares) : 0.0;
}

PairedGain compare(const QuestionViews& questions, const FitUtility& utility, const FitPlan& plan,
                   const FitPlan& against) {
  PairedGain gain;
  for (const FitQuestion* question : questions) {
    gain.add(utility.of(plan, *question) - utility.of(against, *question), question->weight);
  }
  return gain;
}

FitPlan with_best_threshold(const QuestionViews& questions, const FitUtility& utility,
                            FitPlan plan) {
  Curve curve;
  for (const FitQuestion* question : questions) {
    const FitAnswer& answer = question->answers[plan.candidate];
    if (answer.route == no_route) continue;
    if (answer.route < plan.route_thresholds.size() && plan.route_thresholds[answer.route]) {
      continue;
    }
    curve.add(*question, answer, utility);
  }
  FitPlan best = plan;
  best.threshold = best_threshold(curve.worth());
  return compare(questions, utility, best, plan).sum > 1e-9 ? best : plan;
}

FitPlan with_route_thresholds(const QuestionViews& questions, const FitUtility& utility,
                              FitPlan plan) {
  std::vector<QuestionViews> by_route(plan.route_thresholds.size());
  for (const FitQuestion* question : questions) {
    const std::uint32_t route = question->answers[plan.candidate].route;
    if (route < by_route.size()) by_route[route].push_back(question);
  }
  for (std::size_t route = 0; route < by_route.size(); ++route) {
    const QuestionViews& own = by_route[route];
    if (own.size() < min_questions) continue;
    Curve curve;
    for (const FitQuestion* question : own) {
      curve.add(*question, question->answers[plan.candidate], utility);
    }
    FitPlan without = plan;
    without.route_thresholds[route].reset();
    if (compare(own, utility, without, plan).deviations() > surely_better) plan = without;
    FitPlan with = plan;
    with.route_thresholds[route] = best_threshold(curve.worth());
    if (compare(own, utility, with, plan).deviations() > surely_better) plan = std::move(with);
  }
  return plan;
}

}  // namespace tenantd
