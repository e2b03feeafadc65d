#include "worker/router/index/recall.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tenantd {
namespace {

constexpr std::size_t products_per_step = 1U << 18U;
constexpr std::size_t block_rows = 64;  // that stay in the cache while every query meets them
constexpr std::size_t queries_per_step = 4;
constexpr std::size_t levels_per_doubling = 2;
// Scores of one route, found in two ways, differ by rounding at most.
constexpr float same_score = 1e-6F;

// Scatters without a pattern that rows could have, too.
constexpr std::uint64_t scatter(std::uint64_t value) noexcept {
  value = (value ^ (value >> 31U)) * 0x9E3779B97F4A7C15ULL;
  return value ^ (value >> 29U);
}

}  // namespace

double recall_bound(std::size_t hits, std::size_t count) noexcept {
  constexpr double z = 1.6449;
  const auto n = static_cast<double>(count);
  const double share = static_cast<double>(hits) / n;
  const double middle = share + z * z / (2 * n);
  const double width = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return std::max((middle - width) / (1 + z * z / n), 0.0);
}

std::size_t most_probe_rows(std::size_t vectors) noexcept {
  constexpr std::size_t affordable = 65'536;  // 3 to 10 ms, as the memory is
  return std::min(affordable, vectors / 4);
}

RecallMeasure::RecallMeasure(std::shared_ptr<const RouteSet> set,
                             std::shared_ptr<const IndexLists> lists, const RouterSettings& scoring,
                             double wanted, const Kernels& kernels)
    : set_(std::move(set)),
      lists_(std::move(lists)),
      scoring_(scoring),
      wanted_(wanted),
      kernels_(&kernels),
      search_(kernels) {
  choose_queries();
  how_ = aggregator_of(*set_->routes[0]);
  largest_.resize(queries_.size() * std::max<std::size_t>(scoring_.top_k, 1));
  largest_counts_.resize(queries_.size());
  products_.resize(block_rows + 16);
  order_.resize(set_->routes.size());
  level_rows_ = std::max<std::size_t>(set_->vector_count / 512, 256);
}

Aggregator RecallMeasure::aggregator_of(const RouteBlock& route) const noexcept {
  return make_aggregator(route.aggregation.value_or(scoring_.aggregation), scoring_);
}

void RecallMeasure::choose_queries() {
  const std::size_t rows = set_->vector_count;
  const std::size_t count = std::min(rows, max_recall_samples);
  queries_.resize(count);
  std::uint32_t route = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i * rows / count;
    const std::size_t width = (i + 1) * rows / count - first;
    const auto row = static_cast<std::uint32_t>(first + scatter(i + 1) % width);
    while (set_->first_row[route + 1] <= row) ++route;
    Query& query = queries_[i];
    query.row = row;
    query.vector = set_->routes[route]->vector_of(row - set_->first_row[route]);
    query.codes.set({query.vector, set_->dimension});
    query.best_score = -std::numeric_limits<float>::infinity();
    query.best_route = 0;
  }
}

bool RecallMeasure::step() {
  if (queries_.empty()) return false;
  if (route_ < set_->routes.size()) return step_reference();
  if (next_query_ == 0) {
    view_ = make_index_view(lists_, *set_, level_rows_);
    hits_ = 0;
  }
  try_level();
  const std::size_t misses = next_query_ - hits_;
  const std::size_t count = queries_.size();
  const bool hopeless = recall_bound(count - misses, count) < wanted_;
  if (next_query_ < count && !hopeless) return true;
  const std::size_t most = most_probe_rows(set_->vector_count);
  if (hopeless && level_rows_ < most) {
    level_rows_ = std::min(
        most,
        static_cast<std::size_t>(static_cast<double>(level_rows_) *
                                 std::pow(2.0, 1.0 / static_cast<double>(levels_per_doubling))));
    next_query_ = 0;
    return true;
  }
  if (next_query_ < count) return true;  // the most there are: how far it falls short is told
  quality_.sampled = static_cast<std::uint32_t>(count);
  quality_.recall = static_cast<float>(static_cast<double>(hits_) / static_cast<double>(count));
  quality_.recall_at_least = static_cast<float>(recall_bound(hits_, count));
  quality_.probe_rows = level_rows_;
  quality_.sufficient = !hopeless;
  return false;
}

double RecallMeasure::progress() const noexcept {
  return static_cast<double>(row_) /
         static_cast<double>(std::max<std::size_t>(set_->vector_count, 1));
}

// Every row of every route, one block after the other, for all queries.
bool RecallMeasure::step_reference() {
  for (std::size_t products = 0; products < products_per_step && route_ < set_->routes.size();) {
    const RouteBlock& route = *set_->routes[route_];
    if (chunk_ == route.chunks.size()) {
      end_route();
      products += queries_.size();
      continue;
    }
    const Matrix& vectors = route.chunks[chunk_]->vectors;
    const std::size_t some = std::min(block_rows, vectors.rows() - row_in_chunk_);
    if (some == 0) {
      ++chunk_;
      row_in_chunk_ = 0;
      continue;
    }
    if (how_.needs_rows()) multiply_block(vectors, row_in_chunk_, some);
    row_in_chunk_ += some;
    row_ += static_cast<std::uint32_t>(some);
    products += some * queries_.size();
  }
  return true;
}

void RecallMeasure::multiply_block(const Matrix& vectors, std::size_t first, std::size_t count) {
  const float* rows = vectors.data() + first * vectors.stride();
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    kernels_->dot_rows(queries_[q].vector, rows, count, vectors.stride(), products_.data());
    float* const largest = largest_.data() + q * how_.k;
    std::uint32_t& kept = largest_counts_[q];
    for (std::size_t i = 0; i < count; ++i) {
      if (kept == how_.k && products_[i] <= largest[kept - 1]) continue;
      if (row_ + i == queries_[q].row) continue;
      std::size_t place = kept < how_.k ? kept++ : kept - 1;
      for (; place > 0 && largest[place - 1] < products_[i]; --place) {
        largest[place] = largest[place - 1];
      }
      largest[place] = products_[i];
    }
  }
}

void RecallMeasure::end_route() {
  const RouteBlock& route = *set_->routes[route_];
  for (std::size_t q = 0; route.vector_count > 0 && q < queries_.size(); ++q) {
    Query& query = queries_[q];
    float centroid = 0;
    if (how_.needs_centroid() && route.centroid.rows() > 0) {
      kernels_->dot_rows(query.vector, route.centroid.data(), 1, route.centroid.stride(),
                         &centroid);
      if (how_.as_mean) centroid *= route.mean_length;
    }
    const auto largest = std::span(largest_).subspan(q * how_.k, largest_counts_[q]);
    const float score = how_.mix(centroid, mean_of_largest(largest, how_.k));
    if (score > query.best_score) {
      query.best_score = score;
      query.best_route = static_cast<std::uint32_t>(route_);
    }
  }
  std::ranges::fill(largest_counts_, 0U);
  chunk_ = 0;
  row_in_chunk_ = 0;
  if (++route_ < set_->routes.size()) how_ = aggregator_of(*set_->routes[route_]);
}

void RecallMeasure::try_level() {
  const std::size_t end = std::min(next_query_ + queries_per_step, queries_.size());
  for (; next_query_ < end; ++next_query_) hits_ += finds_best(queries_[next_query_]) ? 1 : 0;
}

// As a searcher does it: the route with the highest bound is scored, until a score is the highest.
bool RecallMeasure::finds_best(Query& query) {
  QuerySignals signals;
  signals.vector = query.vector;
  signals.codes = query.codes.view();
  signals.coarse = query.codes.coarse();
  signals.left_out_row = query.row;
  const QuerySignals* const one = &signals;
  search_.scan(*set_, scoring_, {&one, 1}, view_.get());
  order_.clear();
  for (std::uint32_t r = 0; r < set_->routes.size(); ++r) {
    if (set_->routes[r]->vector_count > 0) order_.push_back(r);
  }
  const auto is_below = [this](std::uint32_t a, std::uint32_t b) {
    const float first = search_.bound(0, a);
    const float second = search_.bound(0, b);
    return first != second ? first < second : a > b;
  };
  std::make_heap(order_.begin(), order_.end(), is_below);
  float best_score = -std::numeric_limits<float>::infinity();
  std::uint32_t best = 0;
  for (auto end = order_.end(); end != order_.begin();) {
    std::pop_heap(order_.begin(), end--, is_below);
    if (search_.bound(0, *end) <= best_score) break;
    const float score = search_.exact(0, *end);
    if (score <= best_score) continue;
    best_score = score;
    best = *end;
  }
  return best == query.best_route || best_score >= query.best_score - same_score;
}

}  // namespace tenantd
