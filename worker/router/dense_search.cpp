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
                       std::span<const QuerySignals* const> queries, const IndexView* index) {
  set_ = &set;
  queries_ = queries;
  route_count_ = set.routes.size();
  grow_to(route_bounds_, queries.size() * route_count_);
  const Aggregator how = make_aggregator(settings.aggregation, settings);
  const bool undecided = set.has_own_aggregations || settings.aggregation == Aggregation::automatic;
  has_rows_ = undecided || how.needs_rows();
  has_centroids_ = undecided || how.needs_centroid();
  through_index_ = index != nullptr && has_rows_ && settings.aggregation != Aggregation::automatic;
  has_coarse_bounds_ = kernels_->multiplies_bytes;
  codes_.clear();
  for (std::size_t q = 0; q < queries.size(); ++q) codes_.push_back(codes_of(q));
  if (through_index_) {
    probes_.scan(set, *index, queries);
    return aggregate(settings);
  }
  if (has_rows_) scan_rows();
  if (has_centroids_) {
    centroid_stride_ = route_count_ + kernel_overrun;
    grow_to(centroid_bounds_, queries.size() * centroid_stride_);
    scan_some(set.centroids.view(), centroid_bounds_, centroid_stride_, 0);
  }
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
  if (through_index_) {
    has_closer_bound_ = false;
    estimate_routes();
    return;
  }
  has_closer_bound_ = has_coarse_bounds_ || !own_.empty() ||
                      (tenants_.needs_rows() && tenants_.k != 1 && tenants_.k != 3);
  find_route_bounds();
}

void DenseSearch::estimate_routes() {
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    for (std::uint32_t r = 0; r < route_count_; ++r) {
      if (set_->first_row[r] == set_->first_row[r + 1]) continue;
      const Aggregator& how = aggregator_of(r);
      const float largest = how.needs_rows() ? probes_.estimate(q, r, how.k) : 0.0F;
      const float centroid = how.needs_centroid() ? centroid_score(q, r, how) : 0.0F;
      route_bounds_[q * route_count_ + r] = how.mix(centroid, largest);
    }
  }
}

float DenseSearch::centroid_score(std::size_t query, std::uint32_t route,
                                  const Aggregator& how) const noexcept {
  const float* const centroid = set_->places[route].centroid;
  if (centroid == nullptr) return 0;
  float score = 0;
  kernels_->dot_rows(queries_[query]->vector, centroid, 1, padded_row(set_->dimension), &score);
  return score * (how.as_mean ? set_->routes[route]->mean_length : 1.0F);
}

void DenseSearch::scan_rows() {
  row_stride_ = set_->vector_count + kernel_overrun;
  grow_to(row_bounds_, queries_.size() * row_stride_);
  for (const PlacedSegment& placed : set_->segments) {
    scan_some(placed.segment->rows.view(), row_bounds_, row_stride_, placed.first_row);
  }
}

// For all queries, from bounds[first] on, `stride` from one query's to the next one's.
void DenseSearch::scan_some(const ScanRows& rows, std::vector<float>& bounds, std::size_t stride,
                            std::size_t first) {
  if (rows.count == 0) return;
  if (codes_.size() == 1) return kernels_->scan(codes_[0], rows, bounds.data() + first);
  outputs_.clear();
  for (std::size_t q = 0; q < codes_.size(); ++q) {
    outputs_.push_back(bounds.data() + q * stride + first);
  }
  kernels_->scan_batch(codes_, rows, outputs_.data());
}

void DenseSearch::find_route_bounds() {
  const bool one_each = own_.empty() && tenants_.needs_rows() && tenants_.k != 3;
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    if (!one_each) {
      for (std::uint32_t r = 0; r < route_count_; ++r) find_route_bound(q, r);
      continue;
    }
    // The largest is at least the mean of the largest few.
    float* const bounds = route_bounds_.data() + q * route_count_;
    kernels_->largest_of_each(row_bounds_.data() + q * row_stride_, set_->first_row.data(),
                              route_count_, bounds);
    if (!tenants_.needs_centroid()) continue;
    const float* const products = centroid_bounds_.data() + q * centroid_stride_;
    for (std::uint32_t r = 0; r < route_count_; ++r) {
      bounds[r] = tenants_.mix(centroid_bound(products[r], r, tenants_), bounds[r]);
    }
  }
}

void DenseSearch::find_route_bound(std::size_t query, std::uint32_t route) {
  const Aggregator& how = aggregator_of(route);
  const float largest = how.needs_rows() ? largest_bound(rows_of(query, route), how.k) : 0.0F;
  const float centroid =
      how.needs_centroid()
          ? centroid_bound(centroid_bounds_[query * centroid_stride_ + route], route, how)
          : 0.0F;
  route_bounds_[query * route_count_ + route] = how.mix(centroid, largest);
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

// From the bound of the product with the centroid. A route without one scores 0, and its row of
// zeros has no bound below that.
float DenseSearch::centroid_bound(float product, std::uint32_t route,
                                  const Aggregator& how) const noexcept {
  return how.as_mean ? product * set_->routes[route]->mean_length : product;
}

float DenseSearch::closer_bound(std::size_t query, std::uint32_t route) {
  const Aggregator& how = aggregator_of(route);
  float largest = 0;
  if (how.needs_rows()) {
    if (has_coarse_bounds_) refine_rows(query, route);
    const std::span<const float> bounds = rows_of(query, route);
    if (how.k == 1 || bounds.empty()) {
      largest = largest_bound(bounds, 1);
    } else {
      values_.assign(bounds.begin(), bounds.end());
      largest = mean_of_largest(values_, how.k);
    }
  }
  if (!how.needs_centroid()) return how.mix(0.0F, largest);
  return how.mix(centroid_bound(refined_centroid(query, route), route, how), largest);
}

// The route's rows once more, with both bytes of the query.
void DenseSearch::refine_rows(std::size_t query, std::uint32_t route) {
  const std::span<float> bounds = rows_of(query, route);
  grow_to(values_, bounds.size() + kernel_overrun);
  std::size_t filled = 0;
  for (auto part = set_->first_part[route]; part < set_->first_part[route + 1]; ++part) {
    const PlacedSegment& home = set_->segments[set_->parts[part].segment];
    const Segment& segment = *home.segment;
    const std::size_t p = part - home.first_part;
    const std::size_t end =
        p + 1 < segment.parts.size() ? segment.parts[p + 1].first_row : segment.row_count;
    const ScanRows rows = segment.rows.view(segment.parts[p].first_row, end);
    if (rows.count == 0) continue;
    kernels_->scan(queries_[query]->codes, rows, values_.data() + filled);
    filled += rows.count;
  }
  std::copy_n(values_.begin(), bounds.size(), bounds.begin());
}

float DenseSearch::refined_centroid(std::size_t query, std::uint32_t route) {
  float bound[kernel_overrun] = {centroid_bounds_[query * centroid_stride_ + route]};
  if (has_coarse_bounds_) {
    kernels_->scan(queries_[query]->codes, set_->centroids.view(route, route + 1), bound);
  }
  return bound[0];
}

void DenseSearch::prefetch(std::size_t query, std::uint32_t route) noexcept {
  constexpr std::size_t few = 64;  // more rows take longer to look through than to wait for one
  const std::size_t stride = padded_row(set_->dimension);
  const auto ask = [stride](const float* row) {
    for (std::size_t j = 0; j < stride; j += floats_per_line) __builtin_prefetch(row + j);
  };
  const RoutePlace& place = set_->places[route];
  const Aggregator& how = aggregator_of(route);
  if (how.needs_centroid() && place.centroid != nullptr) ask(place.centroid);
  if (!how.needs_rows() || through_index_) return;
  const std::span<const float> bounds = rows_of(query, route);
  if (bounds.empty() || bounds.size() > few) return;
  const auto first = std::max_element(bounds.begin(), bounds.end()) - bounds.begin();
  ask(set_->vector_of(route, static_cast<std::size_t>(first)));
}

float DenseSearch::exact(std::size_t query, std::uint32_t route) {
  const Aggregator& how = aggregator_of(route);
  float largest = 0;
  if (how.needs_rows()) {
    largest =
        through_index_ ? probes_.largest(query, route, how.k) : exact_largest(query, route, how.k);
  }
  return how.mix(how.needs_centroid() ? centroid_score(query, route, how) : 0.0F, largest);
}

// The row with the highest bound is multiplied first; then every other row whose bound is above the
// best product.
float DenseSearch::exact_largest_one(const float* query, std::uint32_t route,
                                     std::span<const float> bounds) const noexcept {
  const std::size_t stride = padded_row(set_->dimension);
  const auto first =
      static_cast<std::size_t>(std::max_element(bounds.begin(), bounds.end()) - bounds.begin());
  float best = 0;
  kernels_->dot_rows(query, set_->vector_of(route, first), 1, stride, &best);
  for (std::size_t row = 0; row < bounds.size(); ++row) {
    if (bounds[row] <= best || row == first) continue;
    float value = 0;
    kernels_->dot_rows(query, set_->vector_of(route, row), 1, stride, &value);
    best = std::max(best, value);
  }
  return best;
}

// The rows with the k highest bounds are multiplied first; then every other row whose bound reaches
// the k-th best product so far. A row that is left out is below k others, so the k largest are the
// same numbers as among all.
float DenseSearch::exact_largest(std::size_t query, std::uint32_t route, std::size_t top_k) {
  const std::span<float> bounds = rows_of(query, route);
  const std::size_t stride = padded_row(set_->dimension);
  const std::size_t k = std::min(top_k, bounds.size());
  if (k == 0) return 0;
  const float* const vector = queries_[query]->vector;
  if (k == 1) return exact_largest_one(vector, route, bounds);
  values_.clear();  // a heap, the least on top
  used_.clear();
  const auto product = [&](std::size_t row) {
    float value = 0;
    kernels_->dot_rows(vector, set_->vector_of(route, row), 1, stride, &value);
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
