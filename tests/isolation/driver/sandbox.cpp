#include "tests/isolation/driver/sandbox.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "shared/contract/link.h"
#include "shared/os/process.h"
#include "shared/os/socket.h"
#include "supervisor/launch/clone_child.h"
#include "supervisor/launch/posture.h"
#include "tests/isolation/driver/attempts.h"
#include "tests/isolation/driver/options.h"
#include "tests/isolation/probes/probe.h"
#include "tests/isolation/probes/surroundings.h"

namespace tenantd {
namespace {

struct NamespaceLayer {
  std::uint64_t flag;
  Layer layer;
};
constexpr std::array namespace_layers = {
    NamespaceLayer{CLONE_NEWUSER, Layer::user_namespace},
    NamespaceLayer{CLONE_NEWNS, Layer::mount_namespace},
    NamespaceLayer{CLONE_NEWPID, Layer::pid_namespace},
    NamespaceLayer{CLONE_NEWNET, Layer::network_namespace},
    NamespaceLayer{CLONE_NEWIPC, Layer::ipc_namespace},
    NamespaceLayer{CLONE_NEWUTS, Layer::uts_namespace},
};

struct LayerSteps {
  Layer layer;
  StepMask steps;
};
constexpr std::array jail_layers = {
    LayerSteps{Layer::cgroup_namespace, mask_of(JailStep::cgroup_namespace)},
    LayerSteps{Layer::own_uid,
               mask_of({JailStep::clear_groups, JailStep::take_gid, JailStep::take_uid})},
    LayerSteps{Layer::capabilities, mask_of({JailStep::securebits, JailStep::bounding_set,
                                             JailStep::ambient_set, JailStep::clear_capabilities})},
    LayerSteps{Layer::no_new_privs, mask_of(JailStep::no_new_privileges)},
    LayerSteps{Layer::landlock, mask_of(JailStep::landlock)},
    LayerSteps{Layer::seccomp, mask_of(JailStep::system_call_filter)},
    LayerSteps{Layer::rlimits, mask_of({JailStep::limit_core, JailStep::limit_open_files,
                                        JailStep::limit_file_size, JailStep::limit_processes,
                                        JailStep::limit_locked_memory, JailStep::limit_stack,
                                        JailStep::limit_message_queues, JailStep::limit_real_time,
                                        JailStep::limit_nice, JailStep::close_descriptors})}};

StepMask steps_without(LayerSet layers) {
  StepMask mask = 0;
  for (const LayerSteps& one : jail_layers) {
    if (!layers.has(one.layer)) mask |= one.steps;
  }
  return mask;
}

HostCapabilities host_with(const HostCapabilities& host, LayerSet layers) {
  HostCapabilities reduced = host;
  reduced.available = host.available.without(LayerSet::all().without(layers));
  for (const NamespaceLayer& one : namespace_layers) {
    if (!reduced.available.has(one.layer)) reduced.namespace_flags &= ~one.flag;
  }
  return reduced;
}

std::string rule_of(const std::string& attempt) { return attempt.substr(0, attempt.find('.')); }

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : std::string("SIG") + name;
}

// Then neither RLIMIT_CORE nor a directory that cannot be written keeps it from being fed.
bool cores_go_to_a_program() {
  return read_small_file("/proc/sys/kernel/core_pattern").value_or("").starts_with('|');
}

// The whole of what it says until it ends, or until `enough` has been said.
std::string read_log(LaunchedProcess& process, std::string_view enough) {
  std::string text;
  for (;;) {
    pollfd wait{process.log.get(), POLLIN, 0};
    if (::poll(&wait, 1, 30'000) != 1) {
      (void)signal_pidfd(process.pidfd.get(), SIGKILL);
      return text + "\ntimeout=1\n";
    }
    char block[4096];
    const ssize_t size = ::read(process.log.get(), block, sizeof block);
    if (size <= 0) return text;
    text.append(block, static_cast<std::size_t>(size));
    if (!enough.empty() && text.find(enough) != std::string::npos) return text;
  }
}

std::string value_of(const std::string& log, const std::string& name) {
  const std::size_t at = ("\n" + log).find("\n" + name + "=");
  if (at == std::string::npos) return "";
  const std::size_t start = at + name.size() + 1;
  return log.substr(start, log.find('\n', start) - start);
}

ConfinementReport read_report(const LaunchedProcess& process) {
  ConfinementReport report{};
  std::array<std::byte, sizeof(ConfinementReport) + 1> buffer{};
  const auto message = receive_message(process.link.get(), buffer, false);
  if (message && message->outcome == IoOutcome::done) {
    (void)parse_link_message(std::span(buffer).first(message->size), report);
  }
  return report;
}

}  // namespace

Sandbox::Sandbox()
    : cgroups_(make_cgroup_backend("tenantd-test-" + std::to_string(::getpid()), explanation_)),
      host_(probe_host(cgroups_.get(), explanation_)) {}

Sandbox::~Sandbox() { cgroups_->remove_root(); }

LaunchRequest Sandbox::make_request(const Trial& trial) const {
  LaunchRequest request;
  AttemptOrder order;
  order.attempt = trial.attempt;
  order.second_stage = trial.layers.has(Layer::seccomp) && !trial.at_start;
  order.victim = static_cast<std::uint32_t>(victims_.process());
  order.neighbour = static_cast<std::uint32_t>(victims_.neighbour());
  order.secret_address = victims_.secret_address();
  order.tcp_port = victims_.tcp_port();
  order.udp_port = victims_.udp_port();
  order.victim_uid = probe_victim_uid;
  order.terminal = victims_.terminal_number();
  order.skipped_steps = steps_without(trial.layers) | trial.skipped;
  write_order(order, request.spec);
  (void)request.spec.hostname.assign("acme-corp");
  set_data_files(request.spec, worker_data_files);
  request.spec.open_files_limit = 256;
  request.spec.file_size_limit_bytes = 8UL << 20U;
  request.spec.processes_limit = trial.with_cgroup ? 4096 : 64;
  request.program_path = isolation_options().probes + "/probe_" + rule_of(trial.attempt);
  request.jail_path =
      trial.shipped_jail ? isolation_options().jail : isolation_options().mutant_jail;
  request.data_directory = victims_.data_directory();
  request.link_directory = victims_.directory() + "/link";
  request.uid =
      trial.layers.has(Layer::own_uid) && host_.privileged ? probe_tenant_uid : ::geteuid();
  request.gid = request.uid;
  request.cgroup = CgroupName{*TenantId::parse("acme-corp"), generation_};
  request.use_cgroup = trial.with_cgroup;
  if (trial.layers.has(Layer::cgroup_memory)) request.limits.memory_max_bytes = 48UL << 20U;
  if (trial.layers.has(Layer::cgroup_pids)) request.limits.pids_max = 32;
  if (trial.layers.has(Layer::cgroup_cpu)) {
    // Less in a period than a scheduler's slice: throttled however busy the machine is. Only where
    // that is asked for: everything else would wait for it.
    request.limits.cpu_millicores = trial.attempt == "exhaust_processes.cpu" ? 20 : 500;
  }
  request.scratch_bytes = 1UL << 20U;
  request.tolerated =
      LayerSet::all().without(host_.available.without(LayerSet::all().without(trial.layers)));
  if (trial.adjust) trial.adjust(request);
  return request;
}

Result<LaunchedProcess> Sandbox::launch(const Trial& trial, LaunchRequest& request) {
  victims_.prepare_data(request.uid);
  Launcher launcher(host_with(host_, trial.layers), cgroups_.get());
  // Both close what is inherited: with the layer off neither does.
  const bool closes = trial.layers.has(Layer::rlimits);
  skip_launcher_steps(trial.skipped_by_launcher |
                      (closes ? 0 : mask_of(LauncherStep::close_descriptors)));
  if (trial.of_driver) trial.of_driver(true);
  auto process = launcher.launch(request);
  if (trial.of_driver) trial.of_driver(false);
  skip_launcher_steps(0);
  return process;
}

std::string Sandbox::run(const Trial& trial) {
  if (trial.attempt.starts_with("core_dumps.die") && cores_go_to_a_program()) {
    return std::string(not_tried);
  }
  ++generation_;
  (void)victims_.was_signalled(false);
  LaunchRequest request = make_request(trial);
  auto process = launch(trial, request);
  if (!process) return "does not start: " + process.error().message;
  const std::string log = read_log(*process, "");
  int status = 0;
  REQUIRE(::waitpid(process->pid, &status, 0) == process->pid);
  const std::string reason(read_report(*process).reason.view());
  std::string result = reason.empty() ? verdict(trial, request, log, status)
                                      : "does not start: " + reason.substr(0, reason.find(':'));
  if (trial.with_cgroup) {
    const auto removed = cgroups_->remove(request.cgroup);
    REQUIRE_MESSAGE(removed, removed.error().describe());
  }
  victims_.clean_up();
  return result;
}

std::string Sandbox::verdict(const Trial& trial, const LaunchRequest& request,
                             const std::string& log, int status) {
  std::string said = value_of(log, trial.attempt);
  if (!value_of(log, "timeout").empty()) return "no answer in 30 s";
  if (said.empty() && WIFSIGNALED(status)) {
    const bool dump = rule_of(trial.attempt) == "core_dumps" && WTERMSIG(status) == SIGILL;
    if (dump) return WCOREDUMP(status) ? "allowed" : "no core";
    said = signal_name(WTERMSIG(status));
  } else if (said.empty() && WEXITSTATUS(status) == probe::tiny_program_exit) {
    said = "allowed";
  } else if (said.empty() && WEXITSTATUS(status) == probe::tiny_program_other_uid) {
    said = "no effect";
  } else if (said.empty()) {
    said = (value_of(log, "started").empty() ? "does not start: exit code " : "exit code ") +
           std::to_string(WEXITSTATUS(status));
  }
  return confirmed(trial, request, said);
}

std::string Sandbox::confirmed(const Trial& trial, const LaunchRequest& request,
                               const std::string& verdict) {
  const bool allowed = verdict == "allowed";
  bool happened = allowed;
  if (rule_of(trial.attempt) == "signals") happened = victims_.was_signalled(allowed);
  if (trial.attempt == "identity.set_host_name" && victims_.was_renamed() != allowed) {
    happened = false;
  }
  if (trial.attempt == "networks.udp_send") happened = victims_.got_datagram();
  if (trial.attempt == "exhaust_processes.cpu" && trial.with_cgroup) {
    const auto usage = cgroups_->usage(request.cgroup);
    if (allowed && usage && usage->throttled_us > 0) return "throttled";
  }
  if (!allowed && happened) return verdict + ", but it happened";
  return allowed && !happened ? "no effect" : verdict;
}

std::vector<std::string> Sandbox::deviations(const Trial& trial) {
  ++generation_;
  LaunchRequest request = make_request(trial);
  auto process = launch(trial, request);
  if (!process) return {"does not start: " + process.error().message};
  const std::string ready = trial.attempt + "=holding\n";
  const std::string log = read_log(*process, ready);
  std::vector<std::string> lines;
  if (log.find(ready) == std::string::npos) {
    lines.push_back("does not start: " + std::string(read_report(*process).reason.view()));
  } else if (const auto posture = read_posture(process->pid)) {
    LayerSet promised = host_.available;
    if (!trial.with_cgroup && !trial.promised_cgroup) promised = promised.without(cgroup_layers);
    lines = posture_deviations(*posture, expected_posture(request.spec, promised, true));
  }
  (void)signal_pidfd(process->pidfd.get(), SIGKILL);
  (void)reap_child(process->pid);
  if (trial.with_cgroup) REQUIRE(cgroups_->remove(request.cgroup));
  victims_.clean_up();
  return lines;
}

}  // namespace tenantd
