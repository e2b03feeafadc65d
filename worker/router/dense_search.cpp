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
  route_count_ = set.routes.size();
  grow_to(route_bounds_, queries.size() * route_count_);
  vectors_.clear();
  for (const QuerySignals* query : queries) vectors_.push_back(query->vector);
  tenants_ = make_aggregator(settings.aggregation, settings);
  centroids_only_ = !tenants_.needs_rows() && !set.has_own_aggregations &&
                    settings.aggregation != Aggregation::automatic;
  if (!centroids_only_) scan_rows(queries);
  aggregate(settings);
}

void DenseSearch::aggregate(const RouterSettings& settings) {
  tenants_ = make_aggregator(settings.aggregation, settings);
  own_.clear();
  if (set_->has_own_aggregations) {
    for (const auto& route : set_->routes) {
      own_.push_back(make_aggregator(route->aggregation.value_or(settings.aggregation), settings));
    }
  }
  if (centroids_only_) {
    has_closer_bound_ = false;
    score_centroids(vectors_.size());
    return;
  }
  has_closer_bound_ =
      !own_.empty() || tenants_.needs_centroid() || (tenants_.k != 1 && tenants_.k != 3);
  find_route_bounds(vectors_.size());
}

// One row a route says all: the mean is the centroid, made shorter.
void DenseSearch::score_centroids(std::size_t queries) {
  for (std::uint32_t r = 0; r < route_count_; ++r) {
    for (std::size_t q = 0; q < queries; ++q) {
      route_bounds_[q * route_count_ + r] = centroid_score(q, r, tenants_);
    }
  }
}

float DenseSearch::centroid_score(std::size_t query, std::uint32_t route,
                                  const Aggregator& how) const noexcept {
  const RouteBlock& block = *set_->routes[route];
  if (block.centroid.rows() == 0) return 0;
  float score = 0;
  kernels_->dot_rows(vectors_[query], block.centroid.data(), 1, block.centroid.stride(), &score);
  return score * (how.as_mean ? block.mean_length : 1.0F);
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
}

void DenseSearch::find_route_bounds(std::size_t queries) {
  for (std::size_t q = 0; q < queries; ++q) {
    for (std::uint32_t r = 0; r < route_count_; ++r) {
      const std::span<const float> bounds = rows_of(q, r);
      const Aggregator& how = aggregator_of(r);
      const float largest = how.needs_rows() ? largest_bound(bounds, how.k) : 0.0F;
      const float centroid = how.needs_centroid() ? centroid_bound(bounds, r, how) : 0.0F;
      route_bounds_[q * route_count_ + r] = how.mix(centroid, largest);
    }
  }
}

float DenseSearch::largest_bound(std::span<const float> bounds, std::size_t k) const noexcept {
  if (bounds.empty()) return 0;
  if (k == 3 && bounds.size() >= 3) {
    const ThreeLargest best = three_largest(bounds);
    return (best.first + best.second + best.third) / 3.0F;
  }
  // The largest is at least the mean of the largest few.
  return kernels_->largest(bounds.data(), bounds.size());
}

// The centroid's product is the mean of the rows' products, made longer; so the mean of their
// bounds is a bound without another vector being read, but for what so many float operations may
// round off.
float DenseSearch::centroid_bound(std::span<const float> bounds, std::uint32_t route,
                                  const Aggregator& how) const noexcept {
  const RouteBlock& block = *set_->routes[route];
  if (block.centroid.rows() == 0) return 0;
  constexpr std::size_t lanes = 16;
  float sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= bounds.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += bounds[i + lane];
  }
  for (std::size_t lane = 0; i < bounds.size(); ++i, ++lane) sums[lane] += bounds[i];
  float sum = 0;
  for (const float part : sums) sum += part;
  const auto operations = static_cast<float>(bounds.size() + 2 * set_->dimension + 64);
  const float rounding = operations * 1.2e-7F;
  const float mean = sum / static_cast<float>(bounds.size()) + rounding;
  const float most = how.as_mean ? block.mean_length : 1.0F;  // of a product with a unit vector
  return std::min(how.as_mean ? mean : mean / block.mean_length, most) + rounding;
}

float DenseSearch::closer_bound(std::size_t query, std::uint32_t route) {
  const Aggregator& how = aggregator_of(route);
  const std::span<const float> bounds = rows_of(query, route);
  float largest = 0;
  if (how.needs_rows()) {
    if (how.k == 1) {
      largest = largest_bound(bounds, 1);
    } else {
      values_.assign(bounds.begin(), bounds.end());
      largest = mean_of_largest(values_, how.k);
    }
  }
  return how.mix(how.needs_centroid() ? centroid_score(query, route, how) : 0.0F, largest);
}

float DenseSearch::exact(std::size_t query, std::uint32_t route) {
  if (centroids_only_) return bound(query, route);
  const Aggregator& how = aggregator_of(route);
  const float largest = how.needs_rows() ? exact_largest(query, route, how.k) : 0.0F;
  return how.mix(how.needs_centroid() ? centroid_score(query, route, how) : 0.0F, largest);
}

// The rows with the k highest bounds are multiplied first; then every other row whose bound reaches
// the k-th best product so far. A row that is left out is below k others, so the k largest are the
// same numbers as among all.
float DenseSearch::exact_largest(std::size_t query, std::uint32_t route, std::size_t top_k) {
  const std::span<float> bounds = rows_of(query, route);
  const RouteBlock& block = *set_->routes[route];
  const std::size_t stride = padded_row(set_->dimension);
  const std::size_t k = std::min(top_k, bounds.size());
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
