// tenantd-jail: applies the whole confinement to itself, reports what it could apply, and becomes
// the program. Holds for any program, ours or a tenant's own.
//
// Started by the supervisor through clone3 with the descriptors of process_contract.h, no arguments
// and no environment. Trusts the sealed launch spec only after checking it. Writes one message: its
// report.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "shared/contract/launch_spec.h"
#include "shared/contract/link.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/seccomp_filter.h"
#include "shared/os/socket.h"
#include "supervisor/jail/landlock.h"
#include "supervisor/jail/launch_spec_check.h"
#include "supervisor/jail/privileges.h"
#include "supervisor/jail/root_filesystem.h"
#include "supervisor/jail/syscall_table.h"

namespace tenantd {
namespace {

// Done here and not by clone3, so that its root is the program's own cgroup, entered since.
Status enter_cgroup_namespace(const LaunchSpec& /*spec*/) {
  if (::unshare(CLONE_NEWCGROUP) != 0) return fail_errno("unshare cgroup namespace", errno);
  return {};
}

Status set_hostname(const LaunchSpec& spec) {
  const std::string_view name = spec.hostname.view();
  if (::sethostname(name.data(), name.size()) != 0) return fail_errno("sethostname", errno);
  return {};
}

// Nothing but the contract's descriptors survives; the program itself is closed by its own exec.
Status close_other_descriptors() {
  if (::close_range(program_fd + 1, ~0U, 0) != 0) return fail_errno("close_range", errno);
  if (::fcntl(program_fd, F_SETFD, FD_CLOEXEC) != 0) return fail_errno("FD_CLOEXEC", errno);
  return {};
}

// Descriptors are a resource like the others: the mounts' are used up by now.
Status bound_resources(const LaunchSpec& spec) {
  if (auto closed = close_other_descriptors(); !closed) return closed;
  return set_resource_limits(spec);
}

Status apply_no_new_privileges(const LaunchSpec& /*spec*/) { return set_no_new_privileges(); }

Status apply_syscall_filter(const LaunchSpec& spec) {
  FilterPlan plan;
  const bool libraries = has_libraries(spec);
  plan.rules = libraries ? allowed_syscalls_with_libraries() : allowed_syscalls();
  if (has_allowance(spec, Allowance::internet_sockets)) {
    plan.rules = allowed_syscalls_with_internet(libraries);
  }
  plan.refused = refused_syscalls();
  const auto program = assemble_filter(plan);
  if (!program) return tl::unexpected(program.error());
  return install_filter(*program);
}

// The order matters: each step still needs what the ones after it take away.
struct Step {
  Layer layer;
  bool needs_namespace;  // made by the supervisor; without it there is nothing to apply
  Status (*apply)(const LaunchSpec&);
};
constexpr std::array steps = {
    Step{Layer::cgroup_namespace, false, enter_cgroup_namespace},
    Step{Layer::mount_namespace, true, enter_root_in_child},
    Step{Layer::uts_namespace, true, set_hostname},
    Step{Layer::rlimits, false, bound_resources},
    Step{Layer::capabilities, false, drop_privileges},
    Step{Layer::no_new_privs, false, apply_no_new_privileges},
    Step{Layer::landlock, false, restrict_with_landlock},
    Step{Layer::seccomp, false, apply_syscall_filter},
};

// False when a required layer is missing; `report` says which.
bool confine(const LaunchSpec& spec, ConfinementReport& report) {
  const LayerSet tolerated(spec.tolerated_layers);
  const LayerSet supervisor(spec.supervisor_layers);
  LayerSet applied = supervisor;
  LayerSet missing;
  for (const Step& step : steps) {
    Status outcome;
    if (step.needs_namespace && !supervisor.has(step.layer)) {
      outcome = fail(ErrorCode::layer_missing, "the supervisor could not make this namespace");
    } else {
      outcome = step.apply(spec);
    }
    if (outcome) {
      applied.add(step.layer);
      continue;
    }
    applied.remove(step.layer);
    missing.add(step.layer);
    if (tolerated.has(step.layer)) continue;
    const std::string name(layer_names[static_cast<std::size_t>(step.layer)]);
    report.reason.assign_truncated(name + ": " + outcome.error().message);
    report.failed_errno = outcome.error().os_errno;
    break;
  }
  report.applied_layers = applied.bits();
  report.missing_layers = missing.bits();
  return report.reason.view().empty();
}

[[nodiscard]] ExitCode run_jail() {
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec) || !check_launch_spec(spec)) {
    return ExitCode::bad_launch_spec;
  }
  (void)::umask(077);
  (void)::setsid();  // fails only for a group leader, which has no terminal to lose here
  auto report = make_link_message<ConfinementReport>(spec.generation);
  report.landlock_abi = landlock_abi();
  const bool confined = confine(spec, report);
  const auto sent = send_message(link_fd, std::as_bytes(std::span(&report, 1)));
  if (!confined || !sent || *sent != IoOutcome::done) return ExitCode::confinement;

  std::string name = spec.kind == ProgramKind::control           ? "tenantd-control"
                     : spec.kind == ProgramKind::isolation_probe ? "tenantd-probe"
                                                                 : "tenantd-encoder";
  if (spec.kind == ProgramKind::worker) {
    name = "tenantd-worker: " + std::string(spec.tenant.tenant_id.view());
  }
  const std::array<char*, 2> arguments = {name.data(), nullptr};
  const std::array<char*, 1> environment = {nullptr};
  (void)::syscall(SYS_execveat, program_fd, "", arguments.data(), environment.data(),
                  AT_EMPTY_PATH);
  return ExitCode::exec_failed;
}

}  // namespace
}  // namespace tenantd

int main() { return static_cast<int>(tenantd::run_jail()); }
