#include "shared/ring/adaptive_spin.h"

#include <sched.h>

namespace tenantd {

void yield_cpu() noexcept { (void)::sched_yield(); }

std::uint32_t current_cpu() noexcept {
  const int cpu = ::sched_getcpu();
  return cpu < 0 ? 0 : static_cast<std::uint32_t>(cpu);
}

}  // namespace tenantd
