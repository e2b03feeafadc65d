#include "worker/router/index/vector_index.h"

#include <unordered_map>

namespace tenantd {

std::size_t IndexLists::memory_bytes() const noexcept {
  const Matrix& centroids = partition->centroids;
  return centroids.rows() * centroids.stride() * sizeof(float) +
         (partition->mean_lengths.size() + starts.size() + entries.size()) * sizeof(std::uint32_t) +
         segments.size() * (sizeof(segments[0]) + sizeof(IndexView::Placed));
}

namespace detail {

// A counting sort: the rows of a list come out in the order of the segments.
std::shared_ptr<const IndexLists> sort_into_lists(
    std::vector<std::shared_ptr<const Segment>> segments, const std::vector<ChunkLists>& chunks,
    std::shared_ptr<const Partition> partition) {
  if (segments.size() > max_indexed_segments) return nullptr;
  for (const auto& segment : segments) {
    if (segment->row_count > max_indexed_segment_rows) return nullptr;
  }
  auto lists = std::make_shared<IndexLists>();
  lists->starts.resize(partition->centroids.rows() + 1);
  std::size_t rows = 0;
  for (const ChunkLists& chunk : chunks) {
    for (const std::uint16_t list : *chunk) ++lists->starts[list + 1];
    rows += chunk->size();
  }
  for (std::size_t i = 1; i < lists->starts.size(); ++i) lists->starts[i] += lists->starts[i - 1];
  lists->entries.resize(rows);
  std::vector<std::uint32_t> next(lists->starts.begin(), lists->starts.end() - 1);
  std::size_t c = 0;
  for (std::uint32_t ordinal = 0; ordinal < segments.size(); ++ordinal) {
    for (std::uint32_t row = 0; row < segments[ordinal]->row_count;) {
      for (const std::uint16_t list : *chunks[c++]) {
        lists->entries[next[list]++] = ordinal << index_row_bits | row++;
      }
    }
  }
  lists->partition = std::move(partition);
  lists->segments = std::move(segments);
  return lists;
}

}  // namespace detail

std::shared_ptr<const IndexView> make_index_view(std::shared_ptr<const IndexLists> lists,
                                                 const RouteSet& set, std::size_t probe_rows) {
  auto view = std::make_shared<IndexView>();
  std::unordered_map<const Segment*, std::uint32_t> ordinals;
  ordinals.reserve(lists->segments.size());
  for (std::uint32_t i = 0; i < lists->segments.size(); ++i) {
    ordinals.emplace(lists->segments[i].get(), i);
  }
  view->placed.resize(lists->segments.size(), {nullptr, no_row, 0});
  std::size_t found_rows = 0;
  for (std::uint32_t s = 0; s < set.segments.size(); ++s) {
    const PlacedSegment& placed = set.segments[s];
    const auto known = ordinals.find(placed.segment.get());
    if (known != ordinals.end()) {
      view->placed[known->second] = {placed.segment.get(), placed.first_row, placed.first_part};
      found_rows += placed.segment->row_count;
    } else if (placed.segment->row_count > 0) {
      view->tail.push_back(s);
      view->tail_rows += placed.segment->row_count;
    }
  }
  view->gone_rows = lists->entries.size() - found_rows;
  view->lists = std::move(lists);
  view->probe_rows = probe_rows;
  return view;
}

}  // namespace tenantd
