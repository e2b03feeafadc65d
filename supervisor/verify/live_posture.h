// A live worker's posture beside what it must be.
//
// Runs in: the supervisor. Blocks for about a millisecond (see posture.h).
#pragma once

#include <string>
#include <vector>

#include "supervisor/launch/posture.h"
#include "supervisor/process/workforce.h"
#include "supervisor/tenant/tenant.h"

namespace tenantd {

struct LivePosture {
  Posture posture;
  ExpectedPosture expected;
  std::vector<std::string> deviations;  // without what others share of its own
};

// Of a tenant that has a worker. Errors: not_found when the process has gone.
[[nodiscard]] Result<LivePosture> look_at_worker(const Tenant& tenant, const Workforce& workforce,
                                                 CgroupBackend& cgroups, LayerSet tolerated);

// One line for each namespace of its own, and for CPUs of its own, that the other worker shares.
[[nodiscard]] std::vector<std::string> shared_with(const Posture& posture, const Worker& worker,
                                                   const Tenant& other);

// It is gone or dead: what was read of it means nothing.
[[nodiscard]] bool has_ended(pid_t pid);

}  // namespace tenantd
