// What `tenantctl bench` prints of a run.
//
// Runs in: tenantctl. Pure functions.
#pragma once

#include <string>

#include "client/tenantctl/format/reports.h"
#include "client/tenantctl/load/load_run.h"

namespace tenantd {

[[nodiscard]] std::string load_text(const LoadPlan& plan, const LoadResult& result);
[[nodiscard]] Json load_json(const LoadPlan& plan, const LoadResult& result);

}  // namespace tenantd
