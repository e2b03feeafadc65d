#include "client/tenantctl/analyse/fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <utility>

#include "client/tenantctl/analyse/fit_thresholds.h"

namespace tenantd {
namespace {

constexpr double surely = 2.0;  // standard deviations; some ten candidates are tried
constexpr double half_95_percent = 1.96;

// How much of the plan may change. Fewer choices fit less by chance: what is proposed is the scope
// that does best on questions that it was not chosen on.
enum class Scope : std::uint8_t { threshold, thresholds, all };
constexpr std::array<Scope, 3> scopes{Scope::threshold, Scope::thresholds, Scope::all};

FitMeasures measure_views(const QuestionViews& questions, const FitPlan& plan) {
  FitMeasures measures;
  for (const FitQuestion* question : questions) {
    const FitAnswer& answer = question->answers[plan.candidate];
    const bool refused = falls_back(plan, answer);
    ++measures.questions;
    if (question->expected == no_route) {
      measures.out_of_scope += question->weight;
      if (refused) measures.out_of_scope_found += question->weight;
    } else {
      measures.in_scope += question->weight;
      if (!refused && answer.route == question->expected) {
        measures.in_scope_right += question->weight;
      }
    }
  }
  return measures;
}

void add(FitMeasures& to, const FitMeasures& more) {
  to.in_scope += more.in_scope;
  to.in_scope_right += more.in_scope_right;
  to.out_of_scope += more.out_of_scope;
  to.out_of_scope_found += more.out_of_scope_found;
  to.questions += more.questions;
}

// The best plan when a fallback out of scope is worth `utility.out_of_scope`.
FitPlan choose_for(const QuestionViews& questions, const FitUtility& utility,
                   const FitPlan& current, Scope scope) {
  FitPlan best = with_best_threshold(questions, utility, current);
  if (scope == Scope::all && !questions.empty()) {
    const FitPlan own = best;
    const std::size_t candidates = questions.front()->answers.size();
    for (std::size_t candidate = 1; candidate < candidates; ++candidate) {
      FitPlan other = current;
      other.candidate = candidate;
      other = with_best_threshold(questions, utility, std::move(other));
      if (compare(questions, utility, other, own).deviations() > surely &&
          compare(questions, utility, other, best).sum > 0) {
        best = std::move(other);
      }
    }
  }
  return scope == Scope::threshold ? best : with_route_thresholds(questions, utility, best);
}

struct Choice {
  FitPlan plan;
  FitUtility utility;
};

// For a wanted recall: the least worth of a fallback out of scope that makes enough of them.
Choice choose(const QuestionViews& questions, const FitPlan& current, const FitOptions& options,
              Scope scope) {
  if (!options.out_of_scope_recall) {
    const FitUtility utility;
    return {choose_for(questions, utility, current, scope), utility};
  }
  constexpr double most = 4096;
  constexpr int halvings = 16;
  double low = 0;
  double high = most;
  FitUtility utility{most};
  FitPlan plan = choose_for(questions, utility, current, scope);
  for (int i = 0; i < halvings; ++i) {
    const double middle =
        i < halvings / 2 ? std::sqrt(std::max(low, 1e-3) * high) : (low + high) / 2;
    FitPlan tried = choose_for(questions, {middle}, current, scope);
    if (measure_views(questions, tried).out_of_scope_recall() >= *options.out_of_scope_recall) {
      high = middle;
      utility = {middle};
      plan = std::move(tried);
    } else {
      low = middle;
    }
  }
  return {std::move(plan), utility};
}

// Groups with equal routes are spread evenly, in an order that the seed decides.
std::vector<std::size_t> deal_folds(std::span<const FitQuestion> questions,
                                    const FitOptions& options) {
  std::map<std::uint32_t, std::uint32_t> route_of_group;
  for (const FitQuestion& question : questions) {
    const auto [at, is_new] = route_of_group.try_emplace(question.group, question.expected);
    if (!is_new) at->second = std::min(at->second, question.expected);
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> groups;  // route, group
  for (const auto& [group, route] : route_of_group) groups.emplace_back(route, group);
  std::mt19937_64 random(options.seed);
  for (std::size_t i = groups.size(); i > 1; --i) std::swap(groups[i - 1], groups[random() % i]);
  std::ranges::stable_sort(groups, {}, &std::pair<std::uint32_t, std::uint32_t>::first);
  std::map<std::uint32_t, std::size_t> fold_of_group;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    fold_of_group[groups[i].second] = i % options.folds;
  }
  std::vector<std::size_t> folds;
  for (const FitQuestion& question : questions) folds.push_back(fold_of_group[question.group]);
  return folds;
}

struct Judged {
  FitMeasures after;
  PairedGain gain;      // of the objective's share
  PairedGain refusals;  // of fallbacks out of scope
};

Judged cross_validate(std::span<const FitQuestion> questions, const FitPlan& current,
                      const FitOptions& options, Scope scope,
                      const std::vector<std::size_t>& folds) {
  Judged judged;
  const FitUtility objective{options.out_of_scope_recall ? 0.0 : 1.0};
  for (std::size_t fold = 0; fold < options.folds; ++fold) {
    QuestionViews chosen_on;
    QuestionViews judged_on;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      (folds[i] == fold ? judged_on : chosen_on).push_back(&questions[i]);
    }
    const FitPlan plan = choose(chosen_on, current, options, scope).plan;
    add(judged.after, measure_views(judged_on, plan));
    for (const FitQuestion* question : judged_on) {
      const bool counts = !options.out_of_scope_recall || question->expected != no_route;
      judged.gain.add(objective.of(plan, *question) - objective.of(current, *question),
                      counts ? question->weight : 0.0);
      if (question->expected != no_route) continue;
      const FitUtility one{1.0};
      judged.refusals.add(one.of(plan, *question) - one.of(current, *question), question->weight);
    }
  }
  return judged;
}

// More right answers by more than chance. With a wanted recall: while it is reached, or it was not
// reached and now is, or is nearer by more than chance.
bool is_better(const FitMeasures& before, const Judged& judged, const FitOptions& options) {
  const bool more = judged.gain.deviations() > surely;
  if (!options.out_of_scope_recall) return more;
  const double wanted = *options.out_of_scope_recall;
  const double now = before.out_of_scope_recall();
  const double then = judged.after.out_of_scope_recall();
  const double count = std::max(before.out_of_scope, 1.0);
  const double slack = std::sqrt(wanted * (1 - wanted) / count);  // of a share that is reached
  if (now < wanted - slack) return judged.refusals.deviations() > surely;
  return more && then >= wanted - slack;
}

}  // namespace

double FitMeasures::accuracy() const noexcept {
  const double all = in_scope + out_of_scope;
  return all > 0 ? (in_scope_right + out_of_scope_found) / all : 0;
}
double FitMeasures::in_scope_accuracy() const noexcept {
  return in_scope > 0 ? in_scope_right / in_scope : 0;
}
double FitMeasures::out_of_scope_recall() const noexcept {
  return out_of_scope > 0 ? out_of_scope_found / out_of_scope : 1;
}

FitMeasures measure(std::span<const FitQuestion> questions, const FitPlan& plan) {
  QuestionViews all;
  for (const FitQuestion& question : questions) all.push_back(&question);
  return measure_views(all, plan);
}

FitResult fit_plan(std::span<const FitQuestion> questions, const FitPlan& current,
                   const FitOptions& options) {
  FitResult result;
  result.plan = current;
  result.before = measure(questions, current);
  result.after = result.before;
  FitOptions bounded = options;
  bounded.folds = std::clamp<std::size_t>(options.folds, 2, 20);
  const std::vector<std::size_t> folds = deal_folds(questions, bounded);
  if (std::ranges::count(folds, 1U) == 0) return result;  // a single group
  std::optional<Scope> winner;
  Judged best;
  for (const Scope scope : scopes) {
    const Judged judged = cross_validate(questions, current, bounded, scope, folds);
    if (!is_better(result.before, judged, bounded)) continue;
    if (winner && judged.gain.sum <= best.gain.sum) continue;
    winner = scope;
    best = judged;
  }
  if (!winner) return result;
  QuestionViews all;
  for (const FitQuestion& question : questions) all.push_back(&question);
  FitPlan plan = choose(all, current, bounded, *winner).plan;
  if (plan == current) return result;
  result.plan = std::move(plan);
  result.after = best.after;
  result.is_better = true;
  const double weights = std::max(best.gain.weights, 1e-9);
  const double deviation = std::sqrt(best.gain.squares);
  result.gain = best.gain.sum / weights;
  result.gain_low = (best.gain.sum - half_95_percent * deviation) / weights;
  result.gain_high = (best.gain.sum + half_95_percent * deviation) / weights;
  return result;
}

}  // namespace tenantd
