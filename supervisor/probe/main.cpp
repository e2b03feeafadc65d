// tenantd-probe: stands where a tenant's worker stands, and tries one thing that it must not be
// able to do. Or stands where two of its clients stand, and tries what one must not be able to do
// to the other.
//
// Started by the supervisor through tenantd-jail with the very launch spec of the tenant's worker,
// but for a data directory of its own. Takes one order from the link, says that it begins, tries,
// says how it went. Trusted by nobody: the supervisor bounds its time and checks what it sends. It
// lives beside the jail and not with the worker, whose code it neither has nor needs: what it takes
// from elsewhere is the process contract.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <span>

#include "shared/contract/launch_spec.h"
#include "shared/contract/verification.h"
#include "shared/os/lockdown.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"
#include "supervisor/probe/attempts.h"
#include "supervisor/probe/row_probes.h"

using namespace tenantd;

namespace {

// The connections of both sides, in any order.
bool receive_row_tenants(const ProbeOrder& order, probe::RowTenants& tenants) {
  tenants.nonce = order.amount;
  while (!tenants.intruder || !tenants.owner) {
    std::array<std::byte, sizeof(RowTenant)> packet;
    pollfd link{link_fd, POLLIN, 0};
    if (::poll(&link, 1, -1) < 0 && errno != EINTR) return false;
    auto received = receive_message(link_fd, packet, true);
    if (!received) return false;
    if (received->outcome == IoOutcome::would_block) continue;
    RowTenant one;
    if (received->outcome != IoOutcome::done || !received->descriptor ||
        !parse_link_message(std::span(packet).first(received->size), one) ||
        one.header.generation != order.header.generation || !one.tenant_id.valid()) {
      return false;
    }
    if (one.side == RowSide::owner) tenants.owner_id = one.tenant_id;
    (one.side == RowSide::owner ? tenants.owner : tenants.intruder) =
        std::move(received->descriptor);
  }
  return true;
}

bool tell_row(std::uint64_t generation, RowProbe probe, RowVerdict verdict,
              const std::string& text) {
  auto result = make_link_message<RowResult>(generation);
  result.probe = probe;
  result.verdict = verdict;
  result.text.assign_truncated(text);
  return ::send(link_fd, &result, sizeof result, MSG_NOSIGNAL) == ssize_t{sizeof result};
}

// The order follows the launch: the end of the link says that none will come.
bool receive_order(std::uint64_t generation, ProbeOrder& order) {
  std::array<std::byte, sizeof(ProbeOrder)> packet;
  pollfd link{link_fd, POLLIN, 0};
  while (::poll(&link, 1, -1) < 0) {
    if (errno != EINTR) return false;
  }
  const ssize_t got = ::recv(link_fd, packet.data(), packet.size(), MSG_DONTWAIT);
  return got > 0 &&
         parse_link_message(std::span(packet).first(static_cast<std::size_t>(got)), order) &&
         order.header.generation == generation && order.path.valid();
}

bool tell(std::uint64_t generation, ProbeStep step, int error) {
  auto result = make_link_message<ProbeResult>(generation);
  result.step = step;
  result.error = error;
  return ::send(link_fd, &result, sizeof result, MSG_NOSIGNAL) == ssize_t{sizeof result};
}

ExitCode run() {
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec) || spec.magic != LaunchSpec::magic_value ||
      spec.version != LaunchSpec::version_value || spec.kind != ProgramKind::isolation_probe) {
    return ExitCode::bad_launch_spec;
  }
  ProbeOrder order;
  if (!receive_order(spec.generation, order)) return ExitCode::failed;
  probe::RowTenants tenants;
  const bool rows = order.attempt == ProbeAttempt::rows;
  if (rows && !receive_row_tenants(order, tenants)) return ExitCode::failed;
  // A worker's second stage, so that the attempt meets what a worker's attacker would meet.
  const bool seccomp_may_lack = LayerSet(spec.tolerated_layers).has(Layer::seccomp);
  if (!lock_down_self(true) && !seccomp_may_lack) return ExitCode::confinement;
  if (!tell(spec.generation, ProbeStep::trying, 0)) return ExitCode::failed;
  if (rows) {
    probe::run_row_probes(std::move(tenants),
                          [&spec](RowProbe probe, RowVerdict verdict, const std::string& text) {
                            (void)tell_row(spec.generation, probe, verdict, text);
                          });
  }
  const int error = rows ? 0 : probe::run_attempt(order, spec);
  return tell(spec.generation, ProbeStep::done, error) ? ExitCode::clean : ExitCode::failed;
}

}  // namespace

int main() {
  (void)std::signal(SIGPIPE, SIG_IGN);
  return static_cast<int>(run());
}
