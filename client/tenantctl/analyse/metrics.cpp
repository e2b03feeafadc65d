#include "client/tenantctl/analyse/metrics.h"

#include <algorithm>
#include <cmath>

namespace tenantd {
namespace {

double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

// The share of pairs (in scope, out of scope) whose order the confidence gets right; ties count
// half.
double area_under_curve(std::span<const JudgedQuery> queries) {
  std::vector<std::pair<double, bool>> scored;
  scored.reserve(queries.size());
  for (const JudgedQuery& query : queries) {
    scored.emplace_back(query.confidence, !query.expected.empty());
  }
  std::sort(scored.begin(), scored.end());
  double rank_sum = 0;
  double positives = 0;
  for (std::size_t i = 0; i < scored.size();) {
    std::size_t end = i;
    while (end < scored.size() && scored[end].first == scored[i].first) ++end;
    const double mean_rank = (static_cast<double>(i + 1) + static_cast<double>(end)) / 2;
    for (; i < end; ++i) {
      if (!scored[i].second) continue;
      rank_sum += mean_rank;
      positives += 1;
    }
  }
  const double negatives = static_cast<double>(scored.size()) - positives;
  if (positives == 0 || negatives == 0) return 0;
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

void measure_reliability(std::span<const JudgedQuery> queries, Evaluation& evaluation) {
  for (const JudgedQuery& query : queries) {
    const double scaled = std::clamp(query.confidence, 0.0, 1.0) * Evaluation::bins;
    const auto bin = std::min(static_cast<std::size_t>(scaled), Evaluation::bins - 1);
    ReliabilityBin& into = evaluation.reliability[bin];
    ++into.count;
    into.mean_confidence += query.confidence;
    into.accuracy += !query.expected.empty() && query.best == query.expected ? 1 : 0;
  }
  for (ReliabilityBin& bin : evaluation.reliability) {
    if (bin.count == 0) continue;
    const auto count = static_cast<double>(bin.count);
    bin.mean_confidence /= count;
    bin.accuracy /= count;
    evaluation.calibration_error +=
        std::abs(bin.mean_confidence - bin.accuracy) * count / static_cast<double>(queries.size());
  }
}

}  // namespace

double RouteMeasures::precision() const noexcept { return ratio(right, decided); }
double RouteMeasures::recall() const noexcept { return ratio(right, expected); }
double RouteMeasures::f1() const noexcept { return ratio(2 * right, expected + decided); }

Evaluation evaluate(std::span<const JudgedQuery> queries) {
  Evaluation evaluation;
  for (const JudgedQuery& query : queries) {
    const bool right = query.decided == query.expected;
    evaluation.right += right ? 1 : 0;
    if (query.expected.empty()) {
      ++evaluation.out_of_scope;
      evaluation.out_of_scope_found += right ? 1 : 0;
    } else {
      ++evaluation.in_scope;
      evaluation.in_scope_right += right ? 1 : 0;
      evaluation.closed_set_right += query.best == query.expected ? 1 : 0;
      ++evaluation.routes[query.expected].expected;
    }
    if (!query.decided.empty()) ++evaluation.routes[query.decided].decided;
    if (right && !query.expected.empty()) ++evaluation.routes[query.expected].right;
    if (!right) ++evaluation.confusions[{query.expected, query.decided}];
  }
  evaluation.auroc = area_under_curve(queries);
  measure_reliability(queries, evaluation);
  return evaluation;
}

std::vector<std::pair<std::pair<std::string, std::string>, std::uint64_t>> worst_confusions(
    const Evaluation& evaluation, std::size_t most) {
  std::vector<std::pair<std::pair<std::string, std::string>, std::uint64_t>> sorted(
      evaluation.confusions.begin(), evaluation.confusions.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (sorted.size() > most) sorted.resize(most);
  return sorted;
}

}  // namespace tenantd
