// One state of a tenant's router: routes, settings and calibration that belong together.
//
// Runs in: worker. Immutable; the editor thread makes the next one while the loop thread answers
// from this.
#pragma once

#include <cstdint>
#include <memory>

#include "shared/contract/tenant_settings.h"
#include "worker/encoder/encoder.h"
#include "worker/router/calibration.h"
#include "worker/router/index/vector_index.h"
#include "worker/router/route_set.h"

namespace tenantd {

struct RouteSnapshot {
  std::shared_ptr<const RouteSet> set;
  std::shared_ptr<const IndexView> index;  // of the set; null: queries read every vector
  TenantSettings settings;                 // with the encoder and dimension of the set's vectors
  EncoderPtr encoder;       // of those vectors; null: not here, so a text alone has no vector
  bool reencoding = false;  // another encoder's vectors are being made: until then words may decide
  Calibration calibration;
  RouterSettings scoring;            // settings.router, with the aggregation that calibration chose
  std::size_t edited_since_fit = 0;  // utterances; 0: the calibration is exact
  std::uint64_t version = 0;         // rises with every edit, also over restarts
};
// Fits `snapshot.calibration` to its set and settings, and what follows from it.
inline void calibrate(RouteSnapshot& snapshot, Searcher& searcher) {
  snapshot.calibration = fit_calibration(*snapshot.set, snapshot.settings.router, searcher);
  snapshot.scoring = snapshot.calibration.decide(snapshot.settings.router);
  snapshot.edited_since_fit = 0;
}

using SnapshotPtr = std::shared_ptr<const RouteSnapshot>;

}  // namespace tenantd
