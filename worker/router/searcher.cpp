#include "worker/router/searcher.h"

#include <algorithm>
#include <limits>

namespace tenantd {
namespace {

constexpr float no_signal = -std::numeric_limits<float>::infinity();

}  // namespace

void Searcher::scan(const RouteSet& set, const RouterSettings& settings,
                    std::span<const QuerySignals> queries) {
  set_ = &set;
  settings_ = &settings;
  queries_ = queries;
  with_vector_.clear();
  dense_index_.clear();
  for (const QuerySignals& query : queries) {
    dense_index_.push_back(with_vector_.size());
    if (query.vector != nullptr && settings.dense_weight > 0) with_vector_.push_back(&query);
  }
  if (!with_vector_.empty()) dense_.scan(set, settings, with_vector_);
}

void Searcher::aggregate(const RouterSettings& settings) {
  settings_ = &settings;
  if (!with_vector_.empty()) dense_.aggregate(settings);
}

void Searcher::select(std::size_t query) {
  selected_ = query;
  words_.look_up(*set_, queries_[query].words, settings_->lexical_weight > 0);
}

bool Searcher::is_below(const Candidate& a, const Candidate& b) noexcept {
  if (a.logit != b.logit) return a.logit < b.logit;
  if (a.known != b.known) return a.known > b.known;
  return a.route > b.route;
}

RankedRoute Searcher::rank(std::uint32_t route) const noexcept {
  const SignalScores& signals = signals_[route];
  const FusedScore fused = fuse(signals, *settings_);
  if (fused.mode == ScoreMode::none || (only_ && fused.mode != *only_)) {
    return {route, no_signal, {}, signals};
  }
  return {route, calibration_->logit(fused), fused, signals};
}

void Searcher::find_bounds() {
  const auto count = static_cast<std::uint32_t>(set_->routes.size());
  signals_.resize(count);
  candidates_.clear();
  for (std::uint32_t r = 0; r < count; ++r) {
    SignalScores& signals = signals_[r];
    signals.has_dense = use_dense_ && set_->first_row[r + 1] > set_->first_row[r];
    signals.has_lexical = use_lexical_ && set_->has_text[r] != 0;
    signals.dense = signals.has_dense ? dense_.bound(dense_index_[selected_], r) : 0.0F;
    signals.lexical = signals.has_lexical ? words_.bound(r) : 0.0F;
    const RankedRoute bound = rank(r);
    if (bound.fused.mode != ScoreMode::none) candidates_.push_back({bound.logit, r, Known::bound});
  }
  std::make_heap(candidates_.begin(), candidates_.end(), is_below);
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

std::span<const RankedRoute> Searcher::best(const Calibration& calibration, std::size_t wanted,
                                            std::optional<ScoreMode> only) {
  calibration_ = &calibration;
  only_ = only;
  const QuerySignals& query = queries_[selected_];
  use_dense_ = query.vector != nullptr && settings_->dense_weight > 0 && only != ScoreMode::lexical;
  use_lexical_ = !query.words.empty() && settings_->lexical_weight > 0 && only != ScoreMode::dense;
  best_.clear();
  find_bounds();
  while (best_.size() < wanted && !candidates_.empty()) {
    std::pop_heap(candidates_.begin(), candidates_.end(), is_below);
    Candidate& top = candidates_.back();
    if (top.known == Known::all) {
      best_.push_back(rank(top.route));
      candidates_.pop_back();
      continue;
    }
    top = look_closer(top);
    std::push_heap(candidates_.begin(), candidates_.end(), is_below);
  }
  return best_;
}

}  // namespace tenantd
