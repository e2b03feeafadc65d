// hostile_worker: launched by a real supervisor in place of tenantd-worker. The tenant's id says
// which attack.
#include <csignal>
#include <ctime>

#include "shared/os/sealed_memfd.h"
#include "tests/isolation/hostile/attacks.h"

namespace tenantd::hostile {

void pause_ms(std::uint64_t ms) {
  const timespec time{static_cast<std::time_t>(ms / 1000),
                      static_cast<long>(ms % 1000 * 1'000'000)};
  (void)::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

void wait_to_be_killed() {
  for (;;) pause_ms(1000);
}

namespace {

int run() {
  (void)std::signal(SIGPIPE, SIG_IGN);
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec)) {
    return static_cast<int>(ExitCode::bad_launch_spec);
  }
  const std::string_view name = spec.tenant.tenant_id.view();
  if (const Attack* const attack = find_link_attack(name)) {
    attack->run(spec);
    wait_to_be_killed();
  }
  if (const ClientAttack* const attack = find_client_attack(name)) serve(spec, *attack);
  return static_cast<int>(ExitCode::failed);
}

}  // namespace
}  // namespace tenantd::hostile

int main() { return tenantd::hostile::run(); }
