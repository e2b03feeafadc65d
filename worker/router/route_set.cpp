#include "worker/router/route_set.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "worker/router/segment_plan.h"

namespace tenantd {
namespace {

// Bounds of words in a segment widen with the distance of its average length from the set's:
// beyond this it is made anew.
constexpr double worst_average_ratio = 1.1;

struct WordTotals {
  std::uint64_t documents = 0;
  std::uint64_t words = 0;
  [[nodiscard]] double average() const noexcept {
    return documents > 0 ? static_cast<double>(words) / static_cast<double>(documents) : 1.0;
  }
};

WordTotals count_words(std::span<const PlannedSegment> plan) {
  WordTotals totals;
  for (const PlannedSegment& planned : plan) {
    if (planned.kept) {
      totals.documents += planned.kept->documents;
      totals.words += planned.kept->total_words;
    }
    for (const SegmentPart& part : planned.parts) {
      for (const auto& chunk : part.chunks()) {
        for (const std::uint32_t length : chunk->lengths) {
          totals.documents += length > 0 ? 1 : 0;
          totals.words += length;
        }
      }
    }
  }
  return totals;
}

// Chunks of segments that the next set does not share: most of them go into one that is made anew.
KnownChunks find_known_chunks(std::span<const PlannedSegment> plan, const RouteSet* previous) {
  KnownChunks known;
  if (previous == nullptr) return known;
  std::unordered_set<const Segment*> shared;
  for (const PlannedSegment& planned : plan) shared.insert(planned.kept.get());
  for (const PlacedSegment& placed : previous->segments) {
    if (!shared.contains(placed.segment.get())) add_known_chunks(*placed.segment, known);
  }
  return known;
}

// Numbers utterances, rows and parts of the segment through those before it.
void place(RouteSet& set, std::shared_ptr<const Segment> segment, std::uint32_t first_route) {
  const auto s = static_cast<std::uint32_t>(set.segments.size());
  PlacedSegment placed;
  placed.first_part = static_cast<std::uint32_t>(set.parts.size());
  if (s > 0) {
    const PlacedSegment& before = set.segments.back();
    placed.first_utterance = before.first_utterance + before.segment->utterance_count;
    placed.first_row = before.first_row + before.segment->row_count;
  }
  std::uint32_t route = first_route;
  for (std::size_t p = 0; p < segment->parts.size(); ++p, ++route) {
    const bool is_last = p + 1 == segment->parts.size();
    const SegmentPart& part = segment->parts[p];
    // Sums for now; build_route_set() turns them into positions.
    set.first_utterance[route + 1] +=
        (is_last ? segment->utterance_count : segment->parts[p + 1].first_utterance) -
        part.first_utterance;
    set.first_row[route + 1] +=
        (is_last ? segment->row_count : segment->parts[p + 1].first_row) - part.first_row;
    ++set.first_part[route + 1];
    if (part.text_count > 0) set.has_text[route] = 1;
    set.text_count += part.text_count;
    set.parts.push_back({route, s});
  }
  if (set.encoder.empty()) set.encoder = segment->encoder;
  if (segment->mixed_encoders || (!segment->encoder.empty() && segment->encoder != set.encoder)) {
    set.mixed_encoders = true;
  }
  placed.segment = std::move(segment);
  set.segments.push_back(std::move(placed));
}

}  // namespace

std::shared_ptr<const RouteSet> build_route_set(
    std::vector<std::shared_ptr<const RouteBlock>> routes, std::uint32_t dimension,
    const RouteSet* previous) {
  auto set = std::make_shared<RouteSet>();
  set->dimension = dimension;
  set->routes = std::move(routes);
  std::vector<std::shared_ptr<const Segment>> kept;
  if (previous != nullptr) {
    for (const PlacedSegment& placed : previous->segments) kept.push_back(placed.segment);
  }
  std::vector<PlannedSegment> plan = plan_segments(set->routes, kept);
  WordTotals totals = count_words(plan);
  const auto is_stale = [&totals](const std::shared_ptr<const Segment>& segment) {
    const double ratio = segment->lexical.average_length() / totals.average();
    return ratio > worst_average_ratio || ratio * worst_average_ratio < 1;
  };
  if (std::erase_if(kept, is_stale) > 0) plan = plan_segments(set->routes, kept);
  set->documents = static_cast<double>(totals.documents);
  set->average_length = totals.average();
  const std::size_t count = set->routes.size();
  for (auto* positions : {&set->first_utterance, &set->first_row, &set->first_part}) {
    positions->resize(count + 1);
  }
  set->has_text.resize(count);
  for (const auto& route : set->routes) {
    set->memory_bytes += route->memory_bytes();
    if (route->aggregation) set->has_own_aggregations = true;
    if (route->priority != 0) set->has_priorities = true;
    if (route->threshold)
      set->lowest_threshold = std::min(set->lowest_threshold, *route->threshold);
  }
  set->places.resize(count);
  set->centroids = QuantisedRows(count, dimension);
  for (std::size_t r = 0; r < count; ++r) {
    const RouteBlock& route = *set->routes[r];
    if (route.chunks.size() == 1) set->places[r].rows = route.chunks[0]->vectors.data();
    set->places[r].centroid = route.centroid.data();
    const QuantisedRows& own = route.centroid_codes;
    if (own.count() > 0) set->centroids.copy(r, own, 0, 1);
  }
  set->rules = build_rule_index(set->routes, previous != nullptr ? previous->rules.get() : nullptr);
  const KnownChunks known = find_known_chunks(plan, previous);
  for (PlannedSegment& planned : plan) {
    if (!planned.kept) {
      planned.kept = build_segment(std::move(planned.parts), dimension, set->average_length, known);
    }
    place(*set, std::move(planned.kept), planned.first_route);
  }
  for (std::size_t r = 0; r < count; ++r) {
    for (auto* positions : {&set->first_utterance, &set->first_row, &set->first_part}) {
      (*positions)[r + 1] += (*positions)[r];
    }
  }
  set->vector_count = set->first_row.back();
  set->every_route_has_rows =
      std::ranges::all_of(set->routes, [](const auto& route) { return route->vector_count > 0; });
  return set;
}

std::optional<std::size_t> RouteSet::find(std::string_view id) const noexcept {
  const auto it = std::lower_bound(routes.begin(), routes.end(), id,
                                   [](const auto& route, std::string_view wanted) {
                                     return std::string_view(route->id) < wanted;
                                   });
  if (it == routes.end() || (*it)->id != id) return std::nullopt;
  return static_cast<std::size_t>(it - routes.begin());
}

std::uint32_t RouteSet::route_of(std::uint32_t utterance) const noexcept {
  const auto next = std::upper_bound(first_utterance.begin(), first_utterance.end(), utterance);
  return static_cast<std::uint32_t>(next - first_utterance.begin() - 1);
}

float RouteSet::idf(std::uint64_t uses) const noexcept {
  const auto n = static_cast<double>(uses);
  return static_cast<float>(std::log(1.0 + (documents - n + 0.5) / (n + 0.5)));
}

}  // namespace tenantd
