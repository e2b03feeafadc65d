// What the probe program can try.
//
// Runs in: tenantd-probe. Each attempt does the real thing and harms nobody where nothing stops it:
// what it opens it closes, what it signals gets signal 0, what it takes its end gives back.
#pragma once

#include "shared/contract/launch_spec.h"
#include "shared/contract/verification.h"

namespace tenantd::probe {

// 0 when the attempt succeeded, else the errno that stopped it. Does not return where a filter or
// the lack of memory ends the process.
[[nodiscard]] int run_attempt(const ProbeOrder& order, const LaunchSpec& spec) noexcept;

}  // namespace tenantd::probe
