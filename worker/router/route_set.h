// All routes of a tenant with their index: what scoring reads. Immutable, shared between snapshots.
//
// Runs in: worker; built by the editor thread, read by the loop thread. Equal routes give equal
// scores, whatever edits led to them: segments differ with history, sums and bounds do not depend
// on where a segment ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/router/rule_index.h"
#include "worker/router/segment.h"

namespace tenantd {

// Where a segment lies among all utterances, rows and parts.
struct PlacedSegment {
  std::shared_ptr<const Segment> segment;
  std::uint32_t first_utterance = 0;
  std::uint32_t first_row = 0;
  std::uint32_t first_part = 0;
};

// A part of a route and the segment that holds it.
struct PlacedPart {
  std::uint32_t route;    // index into RouteSet::routes
  std::uint32_t segment;  // index into RouteSet::segments
};

// Where a route's floats are, without a walk over what the route is made of.
struct RoutePlace {
  const float* centroid = nullptr;  // null: none
  const float* rows = nullptr;      // null: not in one piece, see RouteBlock::vector_of()
};

struct RouteSet {
  std::uint32_t dimension = 0;
  std::vector<std::shared_ptr<const RouteBlock>> routes;  // by id, ascending, no duplicates
  std::vector<std::uint32_t> first_utterance;  // routes.size() + 1; utterances counted through all
  std::vector<std::uint32_t> first_row;        // likewise; rows are utterances with a vector
  std::vector<std::uint32_t> first_part;       // likewise
  std::vector<std::uint8_t> has_text;          // one a route: 1 if an utterance has a text
  std::vector<PlacedSegment> segments;
  std::vector<PlacedPart> parts;
  std::vector<RoutePlace> places;  // one a route
  QuantisedRows centroids;         // one a route; all zero where it has none
  std::size_t vector_count = 0;
  std::size_t text_count = 0;
  std::size_t memory_bytes = 0;            // of all routes, see RouteBlock::memory_bytes()
  double documents = 0;                    // utterances with words
  double average_length = 1;               // words an utterance
  std::string encoder;                     // of every vector; empty without vectors
  bool mixed_encoders = false;             // then nothing dense can be compared
  bool every_route_has_rows = false;       // none is known by its words only
  bool has_own_aggregations = false;       // of a route
  bool has_priorities = false;             // likewise, other than 0
  float lowest_threshold = 1;              // of a route's own
  std::shared_ptr<const RuleIndex> rules;  // null: no route has one

  [[nodiscard]] std::size_t utterance_count() const noexcept { return first_utterance.back(); }
  // Index into routes.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view id) const noexcept;
  // Row `row` of the route's utterances that have a vector.
  [[nodiscard]] const float* vector_of(std::uint32_t route, std::size_t row) const noexcept {
    const float* const rows = places[route].rows;
    return rows != nullptr ? rows + row * padded_row(dimension) : routes[route]->vector_of(row);
  }
  // The route that the utterance belongs to.
  [[nodiscard]] std::uint32_t route_of(std::uint32_t utterance) const noexcept;
  // What a word weighs that `uses` utterances hold.
  [[nodiscard]] float idf(std::uint64_t uses) const noexcept;
  // What a use counts for, before idf.
  [[nodiscard]] float saturated(const LexicalSegment& segment, const WordUse& use) const noexcept {
    return segment.average_length() == average_length
               ? use.saturated
               : saturate_use(use.count, use.length, average_length);
  }
};

// `routes` ascending by id, each of `dimension`. At most 2^32 - 1 utterances. Segments of
// `previous` (may be null) whose routes did not change are shared.
[[nodiscard]] std::shared_ptr<const RouteSet> build_route_set(
    std::vector<std::shared_ptr<const RouteBlock>> routes, std::uint32_t dimension,
    const RouteSet* previous = nullptr);

}  // namespace tenantd
