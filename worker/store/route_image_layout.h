// How a route image lies in its file. Private to route_image*.cpp.
#pragma once

#include <cstdint>
#include <type_traits>

#include "worker/router/snapshot.h"

namespace tenantd::route_image {

// Raise it with every change of what is here, of the structures that are written as they are, and
// of what they mean: of the tokeniser, the quantiser, the calibration.
inline constexpr std::uint32_t layout = 0x2F002;
inline constexpr std::uint32_t largest_dimension = 8192;

// What each holds, in this order: an item a route, chunk or segment, or one in all.
enum Section : std::uint8_t {
  facts,
  encoder_names,  // a line each
  route_records,
  route_texts,  // id, description, metadata, tags, rules
  vector_sums,
  centroids,       // with their padding
  centroid_codes,  // likewise
  chunk_records,
  text_lengths,
  texts,
  words,
  posting_starts,
  postings,
  word_counts,  // UtteranceChunk::lengths
  floats,       // with their padding
  segment_records,
  part_records,
  codes,
  bounds,  // scales, then errors
  terms,
  uses,
  blocks,
  section_count,
};

// Most of the file; a start does not read it. Whether it is intact is looked at afterwards.
[[nodiscard]] constexpr bool is_of_vectors(std::size_t section) noexcept {
  return section == vector_sums || section == centroids || section == centroid_codes ||
         section == floats || section == codes;
}

struct Facts {
  std::uint64_t routes;
  std::uint64_t chunks;
  std::uint64_t segments;
  std::uint64_t edited_since_fit;
  std::uint32_t dimension;
  std::uint32_t encoders;
  Calibration calibration;
  RouterSettings fitted_for;
};

struct RouteRecord {
  std::uint32_t id_bytes;
  std::uint32_t description_bytes;
  std::uint32_t metadata_bytes;
  std::uint32_t tags_bytes;
  std::uint32_t rules_bytes;
  std::uint32_t chunks;
  std::uint32_t sums;  // doubles: none, or the dimension
  std::int32_t priority;
  float threshold;
  float margin;
  float mean_length;
  float centroid_scale;
  float centroid_error;
  std::uint8_t has_threshold;
  std::uint8_t has_margin;
  std::uint8_t has_aggregation;
  std::uint8_t aggregation;
  std::uint8_t has_centroid;
  std::uint8_t reserved[3];
};

struct ChunkRecord {
  std::uint32_t utterances;
  std::uint32_t encoder;  // number of its name from 1 on; 0: no vectors
  std::uint32_t words;
  std::uint32_t postings;
};

struct SegmentRecord {
  std::uint32_t parts;
  std::uint32_t rows;
  std::uint32_t terms;
  std::uint32_t uses;
  std::uint32_t blocks;
  std::uint32_t reserved;
  double average_length;
};

struct PartRecord {
  std::uint32_t route;
  std::uint32_t first_chunk;
  std::uint32_t chunks;
};

static_assert(std::is_trivially_copyable_v<Facts> && std::is_trivially_copyable_v<RouteRecord>);
static_assert(sizeof(ChunkPosting) == 8 && sizeof(WordUse) == 16 && sizeof(WordBlock) == 16 &&
              sizeof(LexicalSegment::Term) == 24);

}  // namespace tenantd::route_image
