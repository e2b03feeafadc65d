// Answers routes_trial.
//
// Runs in: worker, editor thread (run), loop thread (check_trial). The message is a client's.
#pragma once

#include <optional>

#include "shared/protocol/trial_messages.h"
#include "worker/handlers/services.h"
#include "worker/router/calibration.h"
#include "worker/router/tenant_router.h"

namespace tenantd {

// Before it waits for the editor thread. Errors: store_degraded, invalid_argument (more queries
// than max_batch_size).
[[nodiscard]] Status check_trial(const HandlerServices& services, const RoutesTrial& request);

class TrialHandler {
 public:
  // Errors: invalid_argument (settings), those of a query (with its number), no_tenant.
  [[nodiscard]] Result<RoutesTried> run(const TenantRouter& router, const ExecutionContext& context,
                                        const RoutesTrial& request);

 private:
  // What the last trial had to calibrate: the next is mostly another page of the same. Holds no
  // route.
  struct Known {
    std::uint64_t version;
    RouterSettings settings;
    Calibration calibration;
  };
  std::optional<Known> known_;
};

}  // namespace tenantd
