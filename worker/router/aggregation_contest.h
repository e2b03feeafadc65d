// Which aggregation "automatic" stands for: what finds the routes of most utterances that are left
// out.
//
// Runs in: worker, editor thread.
#pragma once

#include "shared/contract/tenant_settings.h"

namespace tenantd {

struct RouteSet;
struct Calibration;
class Searcher;

// Sets what Calibration::decide() decides. Deterministic. The default (the mean of the nearest
// utterance's similarity and the centroid's) gives way only to what is better by more than one
// standard deviation of chance (McNemar 1947), so that few utterances decide nothing.
void choose_aggregation(const RouteSet& set, const RouterSettings& settings, Searcher& searcher,
                        std::size_t samples, Calibration& calibration);

}  // namespace tenantd
