#include "worker/router/dense_search.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "worker/router/aggregate.h"

namespace tenantd {
namespace {

constexpr std::size_t max_bounds = std::size_t{1} << 21U;  // 8 MiB of floats
constexpr std::size_t kernel_overrun = 16;                 // what a kernel may write too far
// A row that was looked at: no bound is as low.
constexpr float used_up = -std::numeric_limits<float>::infinity();

template <class T>
void grow_to(std::vector<T>& values, std::size_t size) {
  if (values.size() < size) values.resize(size);
}

}  // namespace

std::size_t DenseSearch::queries_at_once(const RouteSet& set) noexcept {
  return std::clamp<std::size_t>(max_bounds / std::max<std::size_t>(set.vector_count, 1), 1, 64);
}

std::span<float> DenseSearch::rows_of(std::size_t query, std::uint32_t route) noexcept {
  const std::uint32_t first = set_->first_row[route];
  return std::span(row_bounds_)
      .subspan(query * row_stride_ + first, set_->first_row[route + 1] - first);
}

void DenseSearch::scan(const RouteSet& set, const RouterSettings& settings,
                       std::span<const QuerySignals* const> queries) {
  set_ = &set;
  aggregation_ = settings.aggregation;
  top_k_ = settings.aggregation == Aggregation::max ? 1 : settings.top_k;
  route_count_ = set.routes.size();
  grow_to(route_bounds_, queries.size() * route_count_);
  vectors_.clear();
  for (const QuerySignals* query : queries) vectors_.push_back(query->vector);
  if (is_per_route()) {
    score_centroids(queries);
  } else {
    scan_rows(queries);
  }
}

// One row a route says all: the mean is the centroid, made shorter.
void DenseSearch::score_centroids(std::span<const QuerySignals* const> queries) {
  for (std::size_t r = 0; r < route_count_; ++r) {
    const RouteBlock& route = *set_->routes[r];
    const float length = aggregation_ == Aggregation::mean ? route.mean_length : 1.0F;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      float score = 0;
      if (route.centroid.rows() != 0) {
        kernels_->dot_rows(vectors_[q], route.centroid.data(), 1, route.centroid.stride(), &score);
      }
      route_bounds_[q * route_count_ + r] = score * length;
    }
  }
}

void DenseSearch::scan_rows(std::span<const QuerySignals* const> queries) {
  row_stride_ = set_->vector_count + kernel_overrun;
  grow_to(row_bounds_, queries.size() * row_stride_);
  codes_.clear();
  for (const QuerySignals* query : queries) codes_.push_back(query->codes);
  for (const PlacedSegment& placed : set_->segments) {
    const ScanRows rows = placed.segment->rows.view();
    if (rows.count == 0) continue;
    if (queries.size() == 1) {
      kernels_->scan(codes_[0], rows, row_bounds_.data() + placed.first_row);
      continue;
    }
    outputs_.clear();
    for (std::size_t q = 0; q < queries.size(); ++q) {
      outputs_.push_back(row_bounds_.data() + q * row_stride_ + placed.first_row);
    }
    kernels_->scan_batch(codes_, rows, outputs_.data());
  }
  for (std::size_t q = 0; q < queries.size(); ++q) {
    for (std::uint32_t r = 0; r < route_count_; ++r) {
      route_bounds_[q * route_count_ + r] = bound_of_rows(rows_of(q, r));
    }
  }
}

float DenseSearch::bound_of_rows(std::span<const float> bounds) const noexcept {
  if (bounds.empty()) return 0;
  if (top_k_ == 3 && bounds.size() >= 3) {
    const ThreeLargest best = three_largest(bounds);
    return (best.first + best.second + best.third) / 3.0F;
  }
  // The largest is at least the mean of the largest few.
  return kernels_->largest(bounds.data(), bounds.size());
}

float DenseSearch::closer_bound(std::size_t query, std::uint32_t route) {
  const std::span<const float> bounds = rows_of(query, route);
  values_.assign(bounds.begin(), bounds.end());
  return mean_of_largest(values_, top_k_);
}

// The rows with the k highest bounds are multiplied first; then every other row whose bound reaches
// the k-th best product so far. A row that is left out is below k others, so the k largest are the
// same numbers as among all.
float DenseSearch::exact(std::size_t query, std::uint32_t route) {
  if (is_per_route()) return bound(query, route);
  const std::span<float> bounds = rows_of(query, route);
  const RouteBlock& block = *set_->routes[route];
  const std::size_t stride = padded_row(set_->dimension);
  const std::size_t k = std::min(top_k_, bounds.size());
  if (k == 0) return 0;
  values_.clear();  // a heap, the least on top
  used_.clear();
  const auto product = [&](std::size_t row) {
    float value = 0;
    kernels_->dot_rows(vectors_[query], block.vector_of(row), 1, stride, &value);
    used_.push_back({row, bounds[row]});
    bounds[row] = used_up;
    return value;
  };
  float enough = used_up;  // the k-th highest bound
  if (k < bounds.size()) {
    values_.assign(bounds.begin(), bounds.end());
    enough = kth_largest(values_, k);
    values_.clear();
  }
  for (std::size_t row = 0; row < bounds.size() && values_.size() < k; ++row) {
    if (bounds[row] >= enough) values_.push_back(product(row));
  }
  std::make_heap(values_.begin(), values_.end(), std::greater<>());
  for (std::size_t row = 0; row < bounds.size(); ++row) {
    if (bounds[row] < values_.front()) continue;
    const float value = product(row);
    if (value <= values_.front()) continue;
    std::pop_heap(values_.begin(), values_.end(), std::greater<>());
    values_.back() = value;
    std::push_heap(values_.begin(), values_.end(), std::greater<>());
  }
  for (const Used& used : used_) bounds[used.row] = used.bound;
  return mean_of_largest(values_, k);
}

}  // namespace tenantd
