// A run of a tenant's utterances, in order, as queries read it: bytes of vectors side by side, and
// the words. Immutable, shared between snapshots: an edit makes the segments that it touches anew.
//
// Runs in: worker; built by the editor thread, read by the loop thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/router/kernels/quantise.h"
#include "worker/router/lexical_segment.h"
#include "worker/router/route_block.h"

namespace tenantd {

// Utterances that a segment aims at.
inline constexpr std::size_t segment_utterances = 2048;

// Consecutive chunks of one route. A route that is larger than a segment has parts in several.
struct SegmentPart {
  std::shared_ptr<const RouteBlock> route;
  std::uint32_t first_chunk = 0;      // in the route
  std::uint32_t chunk_count = 0;      // > 0
  std::uint32_t first_utterance = 0;  // in the segment
  std::uint32_t first_row = 0;        // in the segment; only utterances with a vector have rows
  std::uint32_t text_count = 0;       // utterances with a text
  [[nodiscard]] std::span<const std::shared_ptr<const UtteranceChunk>> chunks() const noexcept {
    return std::span(route->chunks).subspan(first_chunk, chunk_count);
  }
};

struct Segment {
  std::vector<SegmentPart> parts;
  std::uint32_t utterance_count = 0;
  std::uint32_t row_count = 0;
  std::string encoder;            // of its first vector; empty without vectors
  bool mixed_encoders = false;    // there are vectors of others
  std::uint64_t documents = 0;    // utterances with words
  std::uint64_t total_words = 0;  // of them
  QuantisedRows rows;
  LexicalSegment lexical;
};

// Where chunks have been quantised before: their rows in some segment.
struct KnownRows {
  const QuantisedRows* rows = nullptr;
  std::uint32_t first = 0;
};
using KnownChunks = std::unordered_map<const UtteranceChunk*, KnownRows>;

// Adds those of the segment.
void add_known_chunks(const Segment& segment, KnownChunks& known);
// `parts` with their route, first_chunk and chunk_count set; the rest is filled in.
[[nodiscard]] std::shared_ptr<const Segment> build_segment(std::vector<SegmentPart> parts,
                                                           std::uint32_t dimension,
                                                           double average_length,
                                                           const KnownChunks& known = {});

// A segment whose rows and words exist already; `parts` as for build_segment(). Null if they do not
// belong to the parts.
[[nodiscard]] std::shared_ptr<const Segment> restore_segment(std::vector<SegmentPart> parts,
                                                             QuantisedRows rows,
                                                             const LexicalSegment::Tables& words);

}  // namespace tenantd
