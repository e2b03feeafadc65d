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
  std::vector<std::string> deviations;  // without those of namespaces that others share
};

// Of a tenant that has a worker. Errors: not_found when the process has gone.
[[nodiscard]] Result<LivePosture> look_at_worker(const Tenant& tenant, const Workforce& workforce,
                                                 CgroupBackend& cgroups, LayerSet tolerated);

// It is gone or dead: what was read of it means nothing.
[[nodiscard]] bool has_ended(pid_t pid);

}  // namespace tenantd
