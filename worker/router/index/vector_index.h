// An inverted file over the rows of segments: which rows lie in which list. It holds no vector: a
// list names rows, whose bytes stay where the segments have them, so that it costs four bytes a
// row.
//
// Runs in: worker; made by the editor thread, read by the loop thread. Immutable. What is found
// through it may miss a route; how often is measured (recall.h), and nobody is answered through an
// index that misses more than the tenant's file allows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/router/route_set.h"

namespace tenantd {

// Of one segment.
inline constexpr unsigned index_row_bits = 13;
inline constexpr std::size_t max_indexed_segment_rows = std::size_t{1} << index_row_bits;
inline constexpr std::size_t max_indexed_segments = std::size_t{1} << (32 - index_row_bits);
inline constexpr std::uint32_t no_row = 0xFFFFFFFFU;

// What decides in which list a vector lies. Outlives the lists that were made with it.
struct Partition {
  Matrix centroids;                 // normalised, one row a list
  std::vector<float> mean_lengths;  // of the mean of each list's rows, along its centroid
  std::size_t trained_rows = 0;     // that the set had then
};

struct IndexLists {
  std::shared_ptr<const Partition> partition;
  // By ordinal. A segment is known again by its address, and so must stay.
  std::vector<std::shared_ptr<const Segment>> segments;
  std::vector<std::uint32_t> starts;   // lists + 1
  std::vector<std::uint32_t> entries;  // ordinal << index_row_bits | row; ascending in each list

  [[nodiscard]] std::size_t memory_bytes() const noexcept;
};

// The list of each row of a chunk, in their order.
using ChunkLists = std::shared_ptr<const std::vector<std::uint16_t>>;

// `lists_of(chunk)`: null for a chunk whose rows are not to be found through the index. Its whole
// segment is not, then. Nothing is returned if the set has more segments, or larger ones, than
// entries can name.
template <class ListsOf>
[[nodiscard]] std::shared_ptr<const IndexLists> make_index_lists(
    const RouteSet& set, std::shared_ptr<const Partition> partition, ListsOf lists_of);

// The lists as they apply to one route set, which may have been edited since they were made.
struct IndexView {
  struct Placed {
    const Segment* segment;    // null: the set does not hold it any more
    std::uint32_t first_row;   // in the set
    std::uint32_t first_part;  // likewise
  };
  std::shared_ptr<const IndexLists> lists;
  std::vector<Placed> placed;       // by ordinal
  std::vector<std::uint32_t> tail;  // indices of the set's segments that no list names
  std::size_t tail_rows = 0;        // in them
  std::size_t gone_rows = 0;        // that lists name and the set does not hold
  std::size_t probe_rows = 0;       // lists are read, nearest first, up to so many rows
};

[[nodiscard]] std::shared_ptr<const IndexView> make_index_view(
    std::shared_ptr<const IndexLists> lists, const RouteSet& set, std::size_t probe_rows);

namespace detail {
[[nodiscard]] std::shared_ptr<const IndexLists> sort_into_lists(
    std::vector<std::shared_ptr<const Segment>> segments, const std::vector<ChunkLists>& chunks,
    std::shared_ptr<const Partition> partition);
}

template <class ListsOf>
std::shared_ptr<const IndexLists> make_index_lists(const RouteSet& set,
                                                   std::shared_ptr<const Partition> partition,
                                                   ListsOf lists_of) {
  std::vector<std::shared_ptr<const Segment>> segments;
  std::vector<ChunkLists> chunks;  // of those segments, in order; only ones with vectors
  for (const PlacedSegment& placed : set.segments) {
    const std::size_t before = chunks.size();
    bool complete = placed.segment->row_count > 0;
    for (const SegmentPart& part : placed.segment->parts) {
      for (const auto& chunk : part.chunks()) {
        if (chunk->vectors.rows() == 0) continue;
        chunks.push_back(lists_of(*chunk));
        complete = complete && chunks.back() != nullptr;
      }
    }
    if (complete) {
      segments.push_back(placed.segment);
    } else {
      chunks.resize(before);
    }
  }
  return detail::sort_into_lists(std::move(segments), chunks, std::move(partition));
}

}  // namespace tenantd
