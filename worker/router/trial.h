// What a router would answer with other settings: nothing of the tenant's changes.
//
// Runs in: worker, editor thread. Queries go the way of any query; utterances are left out as the
// calibration leaves them out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/router/leave_one_out.h"
#include "worker/router/tenant_router.h"

namespace tenantd {

class Trial {
 public:
  // The best route, whatever the threshold; empty: nothing was found.
  struct Found {
    std::string route;
    float confidence = 0;
  };
  struct Utterance {
    std::string route;              // its own
    std::optional<Found> answer;    // none: no sibling could find it
    std::optional<Found> stranger;  // as if its route were not there; none: there is no other
  };

  // `base` with these ways of scoring, calibrated as they would be. `known`: what an earlier trial
  // of the same found.
  Trial(const ExecutionContext& context, const RouteSnapshot& base, const RouterSettings& settings,
        const std::optional<Calibration>& known);

  // At most `most` utterances, evenly spread, and no more than a calibration takes: some ms for
  // 1,000 utterances, never over some hundred.
  [[nodiscard]] std::vector<Utterance> leave_out(std::size_t most);
  // Errors: TenantRouter::route's.
  [[nodiscard]] Result<Found> ask(const RouteQuery& query);
  [[nodiscard]] const RouteSnapshot& snapshot() const noexcept { return *snapshot_; }

 private:
  [[nodiscard]] Utterance leave_out_one(const LeaveOneOut::Asked& asked);

  const ExecutionContext& context_;
  Searcher searcher_;
  SnapshotPtr snapshot_;
  TenantRouter router_;
};

}  // namespace tenantd
