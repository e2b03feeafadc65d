// Which segments of the last route set serve the next one, and where new ones begin and end.
//
// Runs in: worker, editor thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "worker/router/segment.h"

namespace tenantd {

struct PlannedSegment {
  std::shared_ptr<const Segment> kept;  // null: to be built from `parts`
  std::vector<SegmentPart> parts;
  std::uint32_t first_route = 0;  // index into the routes
};

// Covers all chunks of `routes` in order. A segment of `previous` is kept where the same chunks
// follow each other still; small ones beside a change are merged into it, so that a long series of
// edits does not leave crumbs.
[[nodiscard]] std::vector<PlannedSegment> plan_segments(
    std::span<const std::shared_ptr<const RouteBlock>> routes,
    std::span<const std::shared_ptr<const Segment>> previous);

}  // namespace tenantd
