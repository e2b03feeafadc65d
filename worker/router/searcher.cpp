#include "worker/router/searcher.h"

#include <algorithm>
#include <limits>

namespace tenantd {
namespace {

constexpr float no_signal = -std::numeric_limits<float>::infinity();

bool is_better(float logit, std::uint32_t route, const RankedRoute& than) noexcept {
  return logit != than.logit ? logit > than.logit : route < than.route;
}

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

void Searcher::select(std::size_t query) {
  selected_ = query;
  words_.look_up(*set_, queries_[query].words, settings_->lexical_weight > 0);
}

SignalScores Searcher::bounds_of(std::uint32_t route) const noexcept {
  SignalScores signals;
  signals.has_dense = use_dense_ && set_->first_row[route + 1] > set_->first_row[route];
  signals.has_lexical = use_lexical_ && set_->has_text[route] != 0;
  if (signals.has_dense) signals.dense = dense_.bound(dense_index_[selected_], route);
  if (signals.has_lexical) signals.lexical = words_.bound(route);
  return signals;
}

RankedRoute Searcher::rank(std::uint32_t route, const SignalScores& signals) const noexcept {
  const FusedScore fused = fuse(signals, *settings_);
  if (fused.mode == ScoreMode::none || (only_ && fused.mode != *only_)) {
    return {route, no_signal, {}, signals};
  }
  return {route, calibration_->logit(fused), fused, signals};
}

void Searcher::find_bounds(std::size_t wanted) {
  constexpr auto least_on_top = [](const Bound& a, const Bound& b) { return a.logit > b.logit; };
  promising_.clear();
  for (std::uint32_t r = 0; r < bounds_.size(); ++r) {
    const RankedRoute bound = rank(r, bounds_of(r));
    bounds_[r] = bound.logit;
    if (bound.fused.mode == ScoreMode::none) continue;
    if (promising_.size() < wanted) {
      promising_.push_back({bound.logit, r});
      std::push_heap(promising_.begin(), promising_.end(), least_on_top);
    } else if (bound.logit > promising_.front().logit) {
      std::pop_heap(promising_.begin(), promising_.end(), least_on_top);
      promising_.back() = {bound.logit, r};
      std::push_heap(promising_.begin(), promising_.end(), least_on_top);
    }
  }
}

// Nothing as soon as a bound shows that the route is not better than `worst` (null: score it).
std::optional<RankedRoute> Searcher::score(std::uint32_t route, const RankedRoute* worst) {
  SignalScores signals = bounds_of(route);
  const auto is_out = [&] {
    return worst != nullptr && !is_better(rank(route, signals).logit, route, *worst);
  };
  if (signals.has_lexical) {
    signals.lexical = words_.exact(route);
    if (signals.has_dense && is_out()) return std::nullopt;
  }
  if (signals.has_dense) {
    const std::size_t query = dense_index_[selected_];
    if (worst != nullptr) {
      signals.dense = dense_.closer_bound(query, route);
      if (is_out()) return std::nullopt;
    }
    signals.dense = dense_.exact(query, route);
  }
  if (is_out()) return std::nullopt;
  return rank(route, signals);
}

void Searcher::insert(const RankedRoute& found) {
  const auto place = std::find_if(best_.begin(), best_.end(), [&found](const RankedRoute& other) {
    return is_better(found.logit, found.route, other);
  });
  best_.insert(place, found);
}

std::span<const RankedRoute> Searcher::best(const Calibration& calibration, std::size_t wanted,
                                            std::optional<ScoreMode> only) {
  calibration_ = &calibration;
  only_ = only;
  const QuerySignals& query = queries_[selected_];
  use_dense_ = query.vector != nullptr && settings_->dense_weight > 0 && only != ScoreMode::lexical;
  use_lexical_ = !query.words.empty() && settings_->lexical_weight > 0 && only != ScoreMode::dense;
  best_.clear();
  bounds_.resize(set_->routes.size());
  find_bounds(wanted);
  for (const Bound& bound : promising_) {
    insert(*score(bound.route, nullptr));
    bounds_[bound.route] = no_signal;  // done
  }
  if (best_.size() < wanted) return best_;
  for (std::uint32_t r = 0; r < bounds_.size(); ++r) {
    if (bounds_[r] == no_signal || !is_better(bounds_[r], r, best_.back())) continue;
    const auto found = score(r, &best_.back());
    if (!found) continue;
    best_.pop_back();
    insert(*found);
  }
  return best_;
}

}  // namespace tenantd
