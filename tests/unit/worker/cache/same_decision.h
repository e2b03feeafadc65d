// Whether two decisions say the same, bit for bit; where they come from aside.
#pragma once

#include <algorithm>
#include <cstring>

#include "worker/router/types.h"

namespace tenantd {

inline bool same_bits(const RouteScores& a, const RouteScores& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

inline bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

inline bool same_others(const std::vector<Alternative>& a, const std::vector<Alternative>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Alternative& x, const Alternative& y) {
                      return x.route == y.route && same_bits(x.confidence, y.confidence) &&
                             same_bits(x.scores, y.scores);
                    });
}

inline bool same_decision(const RouteDecision& a, const RouteDecision& b) {
  return a.route == b.route && same_bits(a.confidence, b.confidence) &&
         a.is_fallback == b.is_fallback && a.reason == b.reason &&
         same_bits(a.threshold, b.threshold) && same_bits(a.scores, b.scores) &&
         same_others(a.also, b.also) && same_others(a.alternatives, b.alternatives) &&
         a.snapshot_version == b.snapshot_version && a.encoder == b.encoder;
}

}  // namespace tenantd
