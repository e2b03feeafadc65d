#include "worker/router/decision.h"

#include <algorithm>
#include <limits>

#include "worker/router/fusion.h"

namespace tenantd {
namespace {

// Hashed vectors know letters, not meaning: without one word in common they may order routes but
// must not vouch for one, so confidence stays below one half.
constexpr float evidence_without_words = 0.49F;

float threshold_of(const RouteSnapshot& snapshot, std::uint32_t route) noexcept {
  return snapshot.set->routes[route]->threshold.value_or(snapshot.settings.router.threshold);
}

// Of the route that would answer: its own, or the tenant's.
float margin_of(const RouteSnapshot& snapshot, std::uint32_t route) noexcept {
  return snapshot.set->routes[route]->margin.value_or(
      static_cast<float>(snapshot.settings.router.margin_e4) * 1e-4F);
}

RouteScores scores_of(const RankedRoute& ranked) noexcept {
  return {ranked.signals.dense, ranked.signals.lexical, ranked.fused.score, ranked.rules};
}

// Of number `i` of `ranked`, best first.
float confidence_of(const Calibration& calibration, std::span<const RankedRoute> ranked,
                    std::size_t i) noexcept {
  Rivals rivals;
  for (std::size_t other = 0; other < ranked.size(); ++other) {
    if (rivals.count == Rivals::most) break;
    if (other != i) rivals.add(ranked[other].logit);
  }
  return calibration.confidence(ranked[i].logit, rivals);
}

}  // namespace

RouteDecision fall_back(const RouteSnapshot& snapshot, RouteReason reason) {
  RouteDecision decision;
  decision.route = snapshot.settings.router.fallback_route.view();
  decision.is_fallback = true;
  decision.reason = reason;
  decision.threshold = snapshot.settings.router.threshold;
  decision.snapshot_version = snapshot.version;
  return decision;
}

std::optional<std::uint32_t> DecisionMaker::best() const noexcept {
  if (placed_.empty()) return std::nullopt;
  return placed_.front().ranked.route;
}

// Fills placed_ from the `wanted` routes with the highest logits and those that rules select.
// Returns how many were found by their logit.
std::size_t DecisionMaker::rank(const RouteSnapshot& snapshot, const RouteQuery& query,
                                const QuerySignals& signals, const QueryRules& rules,
                                bool is_hashed, Searcher& searcher, std::size_t wanted) {
  placed_.clear();
  const auto ranked = searcher.best(snapshot.calibration, wanted);
  const bool is_vague =
      is_hashed && !ranked.empty() && ranked.front().rules <= 0 && !searcher.words().shares_word();
  const float evidence = is_vague ? evidence_without_words : 1.0F;
  place_selected(snapshot, signals, rules, searcher, ranked);
  // One answer needs the second route, for the margin, and what stands beside it.
  const std::size_t places = query.limit > 1 ? placed_.size() + ranked.size()
                                             : placed_.size() + query.alternatives_limit + 2;
  for (std::size_t i = 0; i < ranked.size() && placed_.size() < places; ++i) {
    if (std::ranges::binary_search(rules.always(), ranked[i].route)) continue;
    placed_.push_back(
        {ranked[i], evidence * confidence_of(snapshot.calibration, ranked, i), false});
  }
  return ranked.size();
}

void DecisionMaker::place_selected(const RouteSnapshot& snapshot, const QuerySignals& signals,
                                   const QueryRules& rules, Searcher& searcher,
                                   std::span<const RankedRoute> ranked) {
  for (const std::uint32_t route : rules.always()) {
    const auto known = std::ranges::find(ranked, route, &RankedRoute::route);
    if (known != ranked.end()) {
      placed_.push_back({*known, 1.0F, true});
      continue;
    }
    RankedRoute scored{route, -std::numeric_limits<float>::infinity(), {}, {}, 0};
    scored.signals =
        scorer_.score(*snapshot.set, snapshot.scoring, signals, searcher.words(), route);
    scored.fused = fuse(scored.signals, snapshot.scoring);
    const auto evidence = std::ranges::find(rules.evidence(), route, &RuleEvidence::route);
    if (scored.fused.mode != ScoreMode::none) {
      scored.logit = snapshot.calibration.logit(scored.fused);
    }
    if (evidence != rules.evidence().end()) {
      const float logit = scored.fused.mode != ScoreMode::none ? scored.logit : 0.0F;
      scored.rules = evidence->score;
      scored.logit = add_evidence(logit, scored.rules, snapshot.scoring);
    }
    placed_.push_back({scored, 1.0F, true});
  }
  const auto& routes = snapshot.set->routes;
  std::ranges::sort(placed_, [&routes](const Placed& a, const Placed& b) {
    const std::int32_t first = routes[a.ranked.route]->priority;
    const std::int32_t second = routes[b.ranked.route]->priority;
    if (first != second) return first > second;
    if (a.ranked.logit != b.ranked.logit) return a.ranked.logit > b.ranked.logit;
    return a.ranked.route < b.ranked.route;
  });
}

bool DecisionMaker::passes(const RouteSnapshot& snapshot, const Placed& placed) const {
  return placed.confidence >= threshold_of(snapshot, placed.ranked.route);
}

// Whether routes that placed_ lacks cannot be answers: from the fourth on, confidence falls.
bool DecisionMaker::is_complete(const RouteSnapshot& snapshot, const RouteQuery& query) const {
  if (query.limit <= 1 || placed_.empty()) return true;
  const float lowest = std::min(snapshot.set->lowest_threshold, snapshot.settings.router.threshold);
  if (placed_.back().confidence < lowest || !passes(snapshot, placed_.front())) return true;
  const auto answers = std::ranges::count_if(
      placed_, [this, &snapshot](const Placed& placed) { return passes(snapshot, placed); });
  return static_cast<std::size_t>(answers) >= query.limit;
}

RouteReason DecisionMaker::judge_best(const RouteSnapshot& snapshot) const {
  const Placed& best = placed_.front();
  if (best.is_selected) return RouteReason::matched;
  if (!passes(snapshot, best)) return RouteReason::below_threshold;
  const float margin = margin_of(snapshot, best.ranked.route);
  if (margin <= 0 || placed_.size() < 2) return RouteReason::matched;
  const float lead = best.confidence - placed_[1].confidence;
  return lead >= margin ? RouteReason::matched : RouteReason::ambiguous;
}

RouteDecision DecisionMaker::decide(const RouteSnapshot& snapshot, const RouteQuery& query,
                                    const QuerySignals& signals, const QueryRules& rules,
                                    bool is_hashed, Searcher& searcher) {
  const std::size_t limit = std::max<std::size_t>(query.limit, 1);
  std::size_t wanted = std::max<std::size_t>(
      limit + query.alternatives_limit + rules.always().size(), Rivals::most + 1);
  while (rank(snapshot, query, signals, rules, is_hashed, searcher, wanted) == wanted &&
         !is_complete(snapshot, query)) {
    wanted *= 2;
  }
  const bool nothing_found =
      placed_.empty() ||
      (signals.vector == nullptr && !placed_.front().is_selected &&
       placed_.front().ranked.rules <= 0 && placed_.front().ranked.fused.score <= 0);
  if (nothing_found) {
    placed_.clear();
    return fall_back(snapshot,
                     rules.excludes_all() ? RouteReason::excluded : RouteReason::no_signal);
  }
  const auto& routes = snapshot.set->routes;
  const Placed& best = placed_.front();
  RouteDecision decision = fall_back(snapshot, judge_best(snapshot));
  decision.confidence = best.confidence;
  decision.threshold = threshold_of(snapshot, best.ranked.route);
  decision.scores = scores_of(best.ranked);
  if (decision.reason == RouteReason::matched) {
    decision.route = routes[best.ranked.route]->id;
    decision.is_fallback = false;
  }
  for (std::size_t i = decision.is_fallback ? 0 : 1; i < placed_.size(); ++i) {
    const Placed& other = placed_[i];
    const bool answers =
        !decision.is_fallback && decision.also.size() + 1 < limit && passes(snapshot, other);
    if (!answers && decision.alternatives.size() == query.alternatives_limit) {
      if (decision.is_fallback || decision.also.size() + 1 >= limit) break;
      continue;
    }
    (answers ? decision.also : decision.alternatives)
        .push_back({routes[other.ranked.route]->id, other.confidence, scores_of(other.ranked)});
  }
  return decision;
}

}  // namespace tenantd
