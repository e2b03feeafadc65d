// What the supervisor launched this worker with.
//
// Runs in: worker, once, before anything else.
#pragma once

#include "shared/base/tenant_id.h"
#include "shared/contract/launch_spec.h"

namespace tenantd {

struct Launch {
  LaunchSpec spec{};
  TenantId tenant;
};

// Reads the sealed launch spec at `fd` and checks all that a worker uses of it. Errors:
// protocol_error (not sealed, another size, magic, version or kind), invalid_argument (tenant id,
// settings).
[[nodiscard]] Result<Launch> read_launch(int fd);

}  // namespace tenantd
