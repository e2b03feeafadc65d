// Resource limits, capabilities and identity of the program.
//
// Runs in: the jail. Sources: setrlimit(2), capabilities(7), prctl(2), setresuid(2).
#pragma once

#include <sys/resource.h>

#include <array>

#include "shared/base/error.h"
#include "shared/contract/launch_spec.h"

namespace tenantd {

struct ResourceBound {
  __rlimit_resource resource;
  const char* name;
  rlim_t value;  // soft and hard
};

// No core dumps, bounded files, descriptors, threads, locked memory, queues and stack; never more
// than the caller's own hard limits: a host that allows less than we ask for is stricter, not
// broken.
[[nodiscard]] std::array<ResourceBound, 9> resource_bounds(const LaunchSpec& spec) noexcept;

// Sets them. Errors: internal with errno and the limit.
[[nodiscard]] Status set_resource_limits(const LaunchSpec& spec);

// Leaves no capability in any set, locks securebits so that no uid gets them back, and, where there
// is no user namespace to do it, becomes the tenant's uid. Errors: internal with errno and the
// step.
[[nodiscard]] Status drop_privileges(const LaunchSpec& spec);

// Errors: internal with errno.
[[nodiscard]] Status set_no_new_privileges();

}  // namespace tenantd
