#include "worker/router/segment_plan.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace tenantd {
namespace {

using Routes = std::span<const std::shared_ptr<const RouteBlock>>;

struct Cursor {
  std::uint32_t route = 0;
  std::uint32_t chunk = 0;
};

// True if the part's chunks are those of the route from its first_chunk on.
bool has_chunks(const SegmentPart& part, const std::shared_ptr<const RouteBlock>& route) {
  if (part.route == route) return true;
  const std::size_t end = std::size_t{part.first_chunk} + part.chunk_count;
  if (route->chunks.size() < end) return false;
  return std::ranges::equal(part.chunks(),
                            std::span(route->chunks).subspan(part.first_chunk, part.chunk_count));
}

// Moves `at` behind the segment if all of it lies there. Route pointers are compared before
// anything that they point to: most routes of most edits did not change.
bool skip_segment(const Segment& segment, Routes routes, Cursor& at) {
  Cursor next = at;
  for (std::size_t p = 0; p < segment.parts.size(); ++p) {
    const SegmentPart& part = segment.parts[p];
    if (next.route >= routes.size() || part.first_chunk != next.chunk) return false;
    const auto& route = routes[next.route];
    if (!has_chunks(part, route)) return false;
    const bool is_last = p + 1 == segment.parts.size();
    const std::uint32_t end = part.first_chunk + part.chunk_count;
    // Another part behind this one says that the route ended here, if it is the same route.
    const bool route_ends = (!is_last && part.route == route) ||
                            end == static_cast<std::uint32_t>(route->chunks.size());
    if (!is_last && !route_ends) return false;
    next = route_ends ? Cursor{next.route + 1, 0} : Cursor{next.route, end};
  }
  at = next;
  return true;
}

void add_chunk(PlannedSegment& planned, const std::shared_ptr<const RouteBlock>& route,
               std::uint32_t chunk) {
  if (planned.parts.empty() || planned.parts.back().route != route) {
    planned.parts.push_back({route, chunk, 0, 0, 0, 0});
  }
  ++planned.parts.back().chunk_count;
}

std::size_t count_utterances(std::span<const SegmentPart> parts) {
  std::size_t count = 0;
  for (const SegmentPart& part : parts) {
    for (const auto& chunk : part.chunks()) count += chunk->size();
  }
  return count;
}

// One run of chunks as segments of about equal size.
void split(const PlannedSegment& run, std::vector<PlannedSegment>& out) {
  const std::size_t total = count_utterances(run.parts);
  const std::size_t pieces =
      std::max<std::size_t>((total + segment_utterances / 2) / segment_utterances, 1);
  // A route that rules alone find has no utterance.
  const std::size_t target = std::max<std::size_t>((total + pieces - 1) / pieces, 1);
  PlannedSegment piece;
  piece.first_route = run.first_route;
  std::size_t size = 0;
  for (std::uint32_t p = 0; p < run.parts.size(); ++p) {
    const SegmentPart& part = run.parts[p];
    for (std::uint32_t c = part.first_chunk; c < part.first_chunk + part.chunk_count; ++c) {
      if (size >= target) {
        out.push_back(std::exchange(piece, {}));
        piece.first_route = run.first_route + p;
        size = 0;
      }
      add_chunk(piece, part.route, c);
      size += part.route->chunks[c]->size();
    }
  }
  if (!piece.parts.empty()) out.push_back(std::move(piece));
}

// What to keep and, as one run each, what lies between.
std::vector<PlannedSegment> find_kept(Routes routes,
                                      std::span<const std::shared_ptr<const Segment>> previous) {
  std::unordered_map<const UtteranceChunk*, const std::shared_ptr<const Segment>*> by_first_chunk;
  for (const auto& segment : previous) {
    by_first_chunk.emplace(segment->parts.front().chunks().front().get(), &segment);
  }
  std::vector<PlannedSegment> plan;
  Cursor at;
  while (at.route < routes.size()) {
    const auto& route = routes[at.route];
    if (at.chunk >= route->chunks.size()) {
      at = {at.route + 1, 0};
      continue;
    }
    const auto known = by_first_chunk.find(route->chunks[at.chunk].get());
    const std::uint32_t first_route = at.route;
    if (known != by_first_chunk.end() && skip_segment(**known->second, routes, at)) {
      plan.push_back({*known->second, {}, first_route});
      continue;
    }
    if (plan.empty() || plan.back().kept) plan.push_back({nullptr, {}, first_route});
    add_chunk(plan.back(), route, at.chunk++);
  }
  return plan;
}

bool is_crumb(const PlannedSegment& planned) {
  return planned.kept && planned.kept->utterance_count < segment_utterances / 2;
}

}  // namespace

std::vector<PlannedSegment> plan_segments(
    Routes routes, std::span<const std::shared_ptr<const Segment>> previous) {
  const std::vector<PlannedSegment> kept = find_kept(routes, previous);
  std::vector<PlannedSegment> plan;
  PlannedSegment run;
  const auto end_run = [&] {
    if (!run.parts.empty()) split(std::exchange(run, {}), plan);
  };
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const PlannedSegment& item = kept[i];
    const bool beside_change =
        (i > 0 && !kept[i - 1].kept) || (i + 1 < kept.size() && !kept[i + 1].kept);
    if (item.kept && !(is_crumb(item) && beside_change)) {
      end_run();
      plan.push_back(item);
      continue;
    }
    if (run.parts.empty()) run.first_route = item.first_route;
    if (!item.kept) {
      for (const SegmentPart& part : item.parts) {
        for (std::uint32_t c = 0; c < part.chunk_count; ++c) {
          add_chunk(run, part.route, part.first_chunk + c);
        }
      }
      continue;
    }
    std::uint32_t route = item.first_route;
    for (const SegmentPart& part : item.kept->parts) {
      for (std::uint32_t c = 0; c < part.chunk_count; ++c) {
        add_chunk(run, routes[route], part.first_chunk + c);
      }
      ++route;
    }
  }
  end_run();
  return plan;
}

}  // namespace tenantd
