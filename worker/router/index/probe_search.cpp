#include "worker/router/index/probe_search.h"

#include <algorithm>
#include <functional>

#include "worker/router/aggregate.h"

namespace tenantd {
namespace {

constexpr std::size_t block_rows = 32;         // that are copied side by side for the kernel
constexpr std::size_t prefetch_distance = 12;  // rows whose bytes are on their way

void prefetch_row(const ScanRows& rows, std::size_t row) noexcept {
  const std::uint8_t* codes = rows.codes + row * rows.stride;
  for (std::size_t at = 0; at < rows.stride; at += code_line) __builtin_prefetch(codes + at);
  __builtin_prefetch(rows.scales + row);
  __builtin_prefetch(rows.errors + row);
}

}  // namespace

void ProbeSearch::scan(const RouteSet& set, const IndexView& view,
                       std::span<const QuerySignals* const> queries) {
  set_ = &set;
  queries_.assign(queries.begin(), queries.end());
  if (found_.size() < queries.size()) found_.resize(queries.size());
  if (block_dimension_ != set.dimension) {
    block_ = QuantisedRows(block_rows, set.dimension);
    block_dimension_ = set.dimension;
  }
  for (std::size_t q = 0; q < queries.size(); ++q) {
    Found& found = found_[q];
    found.hits.clear();
    found.completed_rows = 0;
    choose_lists(view, queries[q]->vector, found);
    for (std::size_t i = 0; i < probes_; ++i) {
      gathered_.clear();
      gather_list(view, order_[i]);
      read_gathered(*queries[q], found.hits);
    }
    for (const std::uint32_t segment : view.tail) {
      gathered_.clear();
      gather_segment(segment);
      read_gathered(*queries[q], found.hits);
    }
    group_by_route(found);
  }
}

// The nearest lists, in order, until they hold enough; sorted no further than that.
void ProbeSearch::choose_lists(const IndexView& view, const float* vector, Found& found) {
  const IndexLists& lists = *view.lists;
  const Matrix& centroids = lists.partition->centroids;
  const std::size_t count = centroids.rows();
  list_products_.resize(count);
  kernels_->dot_rows(vector, centroids.data(), count, centroids.stride(), list_products_.data());
  order_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) order_[i] = i;
  const auto is_farther = [this](std::uint32_t a, std::uint32_t b) {
    return list_products_[a] != list_products_[b] ? list_products_[a] < list_products_[b] : a > b;
  };
  std::make_heap(order_.begin(), order_.end(), is_farther);
  std::size_t rows = 0;
  auto end = order_.end();
  while (end != order_.begin() && rows < view.probe_rows) {
    std::pop_heap(order_.begin(), end--, is_farther);
    rows += lists.starts[*end + 1] - lists.starts[*end];
  }
  probes_ = static_cast<std::size_t>(order_.end() - end);
  const bool is_complete = probes_ == count;
  const std::uint32_t next = order_.front();
  found.other = is_complete ? 0.0F : list_products_[next] * lists.partition->mean_lengths[next];
  std::reverse(order_.begin(), order_.end());  // what was popped last stands first
}

// Entries of a list are in the order of segments and their rows, so the part that a row belongs to
// is that of the row before, or a later one.
void ProbeSearch::gather_list(const IndexView& view, std::uint32_t list) {
  const IndexLists& lists = *view.lists;
  const Segment* segment = nullptr;
  const SegmentPart* part = nullptr;
  for (std::uint32_t e = lists.starts[list]; e < lists.starts[list + 1]; ++e) {
    const std::uint32_t entry = lists.entries[e];
    const IndexView::Placed& placed = view.placed[entry >> index_row_bits];
    const std::uint32_t row = entry & (max_indexed_segment_rows - 1);
    if (placed.segment == nullptr) continue;
    const SegmentPart* const end = placed.segment->parts.data() + placed.segment->parts.size();
    if (placed.segment != segment) {
      segment = placed.segment;
      part = segment->parts.data();
    }
    if (part + 1 != end && part[1].first_row <= row) {
      part = std::upper_bound(part + 1, end, row,
                              [](std::uint32_t wanted, const SegmentPart& other) {
                                return wanted < other.first_row;
                              }) -
             1;
    }
    const auto p = placed.first_part + static_cast<std::uint32_t>(part - segment->parts.data());
    gathered_.push_back({&segment->rows, row, placed.first_row + row, set_->parts[p].route});
  }
}

void ProbeSearch::gather_segment(std::uint32_t segment) {
  const PlacedSegment& placed = set_->segments[segment];
  for (std::uint32_t p = 0; p < placed.segment->parts.size(); ++p) {
    gather_part(segment, p, set_->parts[placed.first_part + p].route);
  }
}

void ProbeSearch::gather_part(std::uint32_t segment, std::uint32_t part, std::uint32_t route) {
  const PlacedSegment& placed = set_->segments[segment];
  const auto& parts = placed.segment->parts;
  const std::uint32_t end =
      part + 1 < parts.size() ? parts[part + 1].first_row : placed.segment->row_count;
  for (std::uint32_t row = parts[part].first_row; row < end; ++row) {
    gathered_.push_back({&placed.segment->rows, row, placed.first_row + row, route});
  }
}

// The kernel wants rows side by side: copying some into the cache costs less than waiting for them,
// which prefetching makes short.
void ProbeSearch::read_gathered(const QuerySignals& query, std::vector<Hit>& hits) {
  float bounds[block_rows + 16];
  ScanRows block = block_.view();
  for (std::size_t i = 0; i < std::min(prefetch_distance, gathered_.size()); ++i) {
    prefetch_row(gathered_[i].rows->view(), gathered_[i].index);
  }
  for (std::size_t first = 0; first < gathered_.size(); first += block_rows) {
    const std::size_t some = std::min(block_rows, gathered_.size() - first);
    for (std::size_t i = 0; i < some; ++i) {
      if (const std::size_t ahead = first + i + prefetch_distance; ahead < gathered_.size()) {
        prefetch_row(gathered_[ahead].rows->view(), gathered_[ahead].index);
      }
      block_.copy(i, *gathered_[first + i].rows, gathered_[first + i].index, 1);
    }
    block.count = some;
    kernels_->scan(query.codes, block, bounds);
    for (std::size_t i = 0; i < some; ++i) {
      const Row& row = gathered_[first + i];
      if (row.number != query.left_out_row) hits.push_back({row.number, row.route, bounds[i]});
    }
  }
}

void ProbeSearch::group_by_route(Found& found) {
  found.starts.assign(set_->routes.size() + 1, 0);
  for (const Hit& hit : found.hits) ++found.starts[hit.route + 1];
  for (std::size_t r = 1; r < found.starts.size(); ++r) found.starts[r] += found.starts[r - 1];
  grouped_.resize(found.hits.size());
  for (const Hit& hit : found.hits) grouped_[found.starts[hit.route]++] = hit;
  // Each start has become the next one's.
  for (std::size_t r = found.starts.size() - 1; r > 0; --r) found.starts[r] = found.starts[r - 1];
  found.starts[0] = 0;
  std::swap(found.hits, grouped_);
}

std::span<const ProbeSearch::Hit> ProbeSearch::hits_of(const Found& found,
                                                       std::uint32_t route) const noexcept {
  return std::span(found.hits)
      .subspan(found.starts[route], found.starts[route + 1] - found.starts[route]);
}

std::size_t ProbeSearch::rows_of(const QuerySignals& query, std::uint32_t route) const noexcept {
  const std::uint32_t first = set_->first_row[route];
  const std::uint32_t end = set_->first_row[route + 1];
  const bool leaves_out = query.left_out_row >= first && query.left_out_row < end;
  return end - first - (leaves_out ? 1 : 0);
}

float ProbeSearch::estimate(std::size_t query, std::uint32_t route, std::size_t k) {
  const Found& found = found_[query];
  const auto hits = hits_of(found, route);
  const std::size_t wanted = std::min(k, rows_of(*queries_[query], route));
  values_.clear();
  for (const Hit& hit : hits) values_.push_back(hit.bound);
  while (values_.size() < wanted) values_.push_back(found.other);
  return mean_of_largest(values_, wanted);
}

float ProbeSearch::largest(std::size_t query, std::uint32_t route, std::size_t k) {
  Found& found = found_[query];
  const QuerySignals& signals = *queries_[query];
  const std::size_t rows = rows_of(signals, route);
  const std::size_t wanted = std::min(k, rows);
  std::span<const Hit> hits = hits_of(found, route);
  const bool may_complete =
      rows <= largest_completed_route && found.completed_rows + rows <= most_completed_rows;
  if (hits.size() < rows && may_complete) {
    found.completed_rows += rows;
    gathered_.clear();
    for (std::uint32_t p = set_->first_part[route]; p < set_->first_part[route + 1]; ++p) {
      const std::uint32_t segment = set_->parts[p].segment;
      gather_part(segment, p - set_->segments[segment].first_part, route);
    }
    completed_.clear();
    read_gathered(signals, completed_);
    hits = completed_;
  }
  multiply_best(signals, route, hits, wanted);
  while (values_.size() < wanted) values_.push_back(found.other);
  return mean_of_largest(values_, wanted);
}

// Leaves the k largest products in values_. A row whose bound is below k products is below k rows.
void ProbeSearch::multiply_best(const QuerySignals& query, std::uint32_t route,
                                std::span<const Hit> hits, std::size_t k) {
  values_.clear();  // a heap, the least on top
  if (k == 0) return;
  const RouteBlock& block = *set_->routes[route];
  const std::size_t stride = padded_row(set_->dimension);
  order_by_bound_.clear();
  for (std::uint32_t i = 0; i < hits.size(); ++i) order_by_bound_.push_back(i);
  const auto is_below = [&](std::uint32_t a, std::uint32_t b) {
    return hits[a].bound < hits[b].bound;
  };
  std::make_heap(order_by_bound_.begin(), order_by_bound_.end(), is_below);
  for (auto end = order_by_bound_.end(); end != order_by_bound_.begin();) {
    std::pop_heap(order_by_bound_.begin(), end--, is_below);
    const Hit& hit = hits[*end];
    if (values_.size() == k && hit.bound < values_.front()) return;
    float value = 0;
    kernels_->dot_rows(query.vector, block.vector_of(hit.row - set_->first_row[route]), 1, stride,
                       &value);
    if (values_.size() == k) {
      if (value <= values_.front()) continue;
      std::pop_heap(values_.begin(), values_.end(), std::greater<>());
      values_.back() = value;
    } else {
      values_.push_back(value);
    }
    std::push_heap(values_.begin(), values_.end(), std::greater<>());
  }
}

}  // namespace tenantd
