// What `routes fit` prints, and the lines that it proposes for the tenant's file.
//
// Runs in: tenantctl. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/tenantctl/analyse/fit.h"
#include "client/tenantctl/routes/toml_keys.h"
#include "shared/protocol/trial_messages.h"

namespace tenantd {

struct FitReport {
  FitOptions options;
  FitResult result;
  FitPlan before;
  std::vector<std::string> routes;        // names, by number
  std::vector<TrialSettings> candidates;  // how each scores; the first is the tenant's own
  bool on_data = false;                   // labelled sentences, not the tenant's own utterances
  double expected_error = 0;              // of the confidence as it is
};

// Keys of [router] that the plan changes; empty: none.
[[nodiscard]] std::vector<TomlKey> changed_keys(const FitReport& report);
struct RouteThreshold {
  std::uint32_t route;
  std::optional<float> before;
  std::optional<float> after;
};
// Routes whose own threshold the plan changes.
[[nodiscard]] std::vector<RouteThreshold> changed_routes(const FitReport& report);
[[nodiscard]] std::string fit_text(const FitReport& report);
[[nodiscard]] nlohmann::ordered_json fit_json(const FitReport& report);

}  // namespace tenantd
