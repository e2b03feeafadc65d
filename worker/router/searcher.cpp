#include "worker/router/searcher.h"

#include <algorithm>
#include <limits>

namespace tenantd {
namespace {

constexpr float no_signal = -std::numeric_limits<float>::infinity();

}  // namespace

void Searcher::scan(const RouteSet& set, const RouterSettings& settings,
                    std::span<const QuerySignals> queries, const IndexView* index) {
  set_ = &set;
  settings_ = &settings;
  queries_ = queries;
  with_vector_.clear();
  dense_index_.clear();
  for (const QuerySignals& query : queries) {
    dense_index_.push_back(with_vector_.size());
    if (query.vector != nullptr && settings.dense_weight > 0) with_vector_.push_back(&query);
  }
  if (!with_vector_.empty()) dense_.scan(set, settings, with_vector_, index);
}

void Searcher::aggregate(const RouterSettings& settings) {
  settings_ = &settings;
  if (!with_vector_.empty()) dense_.aggregate(settings);
}

void Searcher::select(std::size_t query) {
  selected_ = query;
  words_.look_up(*set_, queries_[query].words, settings_->lexical_weight > 0);
}

bool Searcher::is_below(const Candidate& a, const Candidate& b) const noexcept {
  if (a.logit != b.logit) return a.logit < b.logit;
  if (a.known != b.known) return a.known > b.known;
  if (set_->has_priorities) {
    const std::int32_t first = set_->routes[a.route]->priority;
    const std::int32_t second = set_->routes[b.route]->priority;
    if (first != second) return first < second;
  }
  return a.route > b.route;
}

RankedRoute Searcher::rank(std::uint32_t route) const noexcept {
  const SignalScores& signals = signals_[route];
  const FusedScore fused = fuse(signals, *settings_);
  const float rules = use_rules_ ? rules_[route] : 0.0F;
  if (fused.mode == ScoreMode::none || (only_ && fused.mode != *only_)) {
    const float logit = rules > 0 ? add_evidence(0.0F, rules, *settings_) : no_signal;
    return {route, logit, {}, signals, rules};
  }
  const float logit = calibration_->logit(fused);
  return {route, rules > 0 ? add_evidence(logit, rules, *settings_) : logit, fused, signals, rules};
}

void Searcher::spread_evidence() {
  if (!use_rules_) return;
  rules_.assign(set_->routes.size(), 0.0F);
  for (const RuleEvidence& evidence : queries_[selected_].evidence) {
    rules_[evidence.route] = evidence.score;
  }
}

void Searcher::find_bounds() {
  const auto count = static_cast<std::uint32_t>(set_->routes.size());
  if (signals_.size() < count) signals_.resize(count);
  if (bounds_.size() < count) bounds_.resize(count);
  if (is_dense_only()) return find_dense_bounds(count);
  const std::size_t query = dense_index_[selected_];
  const std::uint8_t* const allowed = queries_[selected_].allowed;
  for (std::uint32_t r = 0; r < count; ++r) {
    SignalScores signals;
    if (use_dense_ && set_->first_row[r + 1] > set_->first_row[r]) {
      signals.has_dense = true;
      signals.dense = dense_.bound(query, r);
    }
    if (use_lexical_ && set_->has_text[r] != 0) {
      signals.has_lexical = true;
      signals.lexical = words_.bound(r);
    }
    signals_[r] = signals;
    bounds_[r] = allowed == nullptr || allowed[r] != 0 ? rank(r).logit : no_signal;
  }
}

// Whether nothing but the similarity makes a difference between routes, and all have one.
bool Searcher::is_dense_only() const noexcept {
  return use_dense_ && !use_lexical_ && !use_rules_ && set_->every_route_has_rows &&
         queries_[selected_].allowed == nullptr && (!only_ || *only_ == ScoreMode::dense);
}

// As the other, without a branch a route: the arithmetic is that of fuse() and
// Calibration::logit().
void Searcher::find_dense_bounds(std::uint32_t count) {
  const float* const dense = dense_.bounds(dense_index_[selected_]);
  const float weight = settings_->dense_weight;
  const float all = weight + 0.0F;
  const Sigmoid sigmoid = calibration_->sigmoids[static_cast<std::size_t>(ScoreMode::dense)];
  for (std::uint32_t r = 0; r < count; ++r) {
    bounds_[r] = sigmoid.logit((weight * dense[r] + 0.0F) / all);
  }
  for (std::uint32_t r = 0; r < count; ++r) signals_[r] = {dense[r], 0.0F, true, false};
}

// The `wanted` highest bounds. Each of these routes gets its score whatever the others are like:
// for one to be left out, as many others would have to reach its bound.
void Searcher::find_first(std::size_t wanted) {
  first_.clear();
  const auto count = static_cast<std::uint32_t>(set_->routes.size());
  for (std::uint32_t r = 0; r < count; ++r) {
    if (bounds_[r] == no_signal) continue;
    if (first_.size() == wanted && bounds_[r] <= bounds_[first_.back()]) continue;
    if (first_.size() == wanted) first_.pop_back();
    auto at = first_.end();
    while (at != first_.begin() && bounds_[*(at - 1)] < bounds_[r]) --at;
    first_.insert(at, r);
  }
}

// Candidates are the routes whose bound reaches the lowest score of the first; no other route can
// be among the best.
void Searcher::find_candidates(std::size_t wanted) {
  candidates_.clear();
  find_first(std::min(wanted, most_first));
  float enough = wanted > most_first ? no_signal : std::numeric_limits<float>::infinity();
  if (use_dense_ && wanted <= most_first) {
    for (const std::uint32_t route : first_) dense_.prefetch(dense_index_[selected_], route);
  }
  for (const std::uint32_t route : first_) {
    if (wanted <= most_first) {
      candidates_.push_back(look_closest(route));
      enough = std::min(enough, candidates_.back().logit);
    } else {
      candidates_.push_back({bounds_[route], route, Known::bound});
    }
    bounds_[route] = no_signal;
  }
  const auto count = static_cast<std::uint32_t>(
      first_.size() < wanted && wanted <= most_first ? 0 : set_->routes.size());
  for (std::uint32_t r = 0; r < count; ++r) {
    if (bounds_[r] < enough || bounds_[r] == no_signal) continue;
    candidates_.push_back({bounds_[r], r, Known::bound});
  }
  std::make_heap(candidates_.begin(), candidates_.end(), below());
}

Searcher::Candidate Searcher::look_closer(const Candidate& candidate) {
  const std::uint32_t r = candidate.route;
  SignalScores& signals = signals_[r];
  const std::size_t query = dense_index_[selected_];
  Known known = candidate.known;
  if (known == Known::bound && signals.has_dense && dense_.has_closer_bound()) {
    signals.dense = dense_.closer_bound(query, r);
    known = Known::closer_bound;
  } else if (known < Known::words && signals.has_lexical) {
    signals.lexical = words_.exact(r);
    known = signals.has_dense ? Known::words : Known::all;
  } else {
    if (signals.has_dense) signals.dense = dense_.exact(query, r);
    known = Known::all;
  }
  return {rank(r).logit, r, known};
}

Searcher::Candidate Searcher::look_closest(std::uint32_t route) {
  SignalScores& signals = signals_[route];
  if (signals.has_lexical) signals.lexical = words_.exact(route);
  if (signals.has_dense) signals.dense = dense_.exact(dense_index_[selected_], route);
  return {rank(route).logit, route, Known::all};
}

std::span<const RankedRoute> Searcher::best(const Calibration& calibration, std::size_t wanted,
                                            std::optional<ScoreMode> only) {
  calibration_ = &calibration;
  only_ = only;
  const QuerySignals& query = queries_[selected_];
  use_dense_ = query.vector != nullptr && settings_->dense_weight > 0 && only != ScoreMode::lexical;
  use_lexical_ = !query.words.empty() && settings_->lexical_weight > 0 && only != ScoreMode::dense;
  use_rules_ = !query.evidence.empty() && !only;
  best_.clear();
  spread_evidence();
  find_bounds();
  find_candidates(wanted);
  while (best_.size() < wanted && !candidates_.empty()) {
    std::pop_heap(candidates_.begin(), candidates_.end(), below());
    Candidate& top = candidates_.back();
    if (top.known == Known::all) {
      best_.push_back(rank(top.route));
      candidates_.pop_back();
      continue;
    }
    top = look_closer(top);
    std::push_heap(candidates_.begin(), candidates_.end(), below());
  }
  return best_;
}

}  // namespace tenantd
