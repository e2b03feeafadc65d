#include "supervisor/verify/probe_request.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace tenantd {
namespace {

constexpr std::uint64_t memory_bound_bytes = 32ULL << 20U;
// Below what a busy host leaves to one more: else it would be the others that hold it back.
constexpr std::uint32_t cpu_bound_millicores = 50;
constexpr std::uint64_t burn_us = 30'000;  // some 600 ms of the clock at the bound
constexpr std::uint32_t threads_bound = 32;
constexpr std::uint64_t beyond = 8;  // how many more than may be

template <class T>
T at_most(T value, T bound) noexcept {
  return value == 0 ? bound : std::min(value, bound);
}

// The bounds of the one attempt that reaches them, and how far it goes.
void aim_at_bounds(ProbeLaunch& launch) {
  ResourceLimits& limits = launch.request.limits;
  switch (launch.order.attempt) {
    case ProbeAttempt::memory:
      if (limits.memory_max_bytes == 0) launch.not_promised = "no memory_max is set";
      limits.memory_max_bytes = at_most(limits.memory_max_bytes, memory_bound_bytes);
      limits.memory_high_bytes = 0;
      launch.order.amount = 2 * memory_bound_bytes;
      return;
    case ProbeAttempt::cpu:
      if (limits.cpu_millicores == 0) launch.not_promised = "no cpu is set";
      limits.cpu_millicores = at_most(limits.cpu_millicores, cpu_bound_millicores);
      launch.order.amount = burn_us;
      return;
    case ProbeAttempt::threads:
      if (limits.pids_max == 0) launch.not_promised = "no pids_max is set";
      limits.pids_max = at_most(limits.pids_max, threads_bound);
      launch.order.amount = launch.request.spec.processes_limit + beyond;
      return;
    case ProbeAttempt::descriptors:
      launch.order.amount = launch.request.spec.open_files_limit + beyond;
      return;
    case ProbeAttempt::file_size:
      launch.order.amount = launch.request.spec.file_size_limit_bytes;
      if (launch.order.amount == 0) launch.not_promised = "no max_storage is set";
      if (launch.request.spec.data_file_count == 0) {
        launch.not_promised = "its program makes files as it likes";
      }
      return;
    case ProbeAttempt::new_file:
      if (launch.request.spec.data_file_count == 0) {
        launch.not_promised = "its program makes files as it likes";
      }
      return;
    default:
      return;
  }
}

const std::string& path_for(ProbeAttempt attempt, const ProbeTargets& targets) {
  static const std::string none;
  switch (attempt) {
    case ProbeAttempt::other_tenant_file:
      return targets.other_tenant_file;
    case ProbeAttempt::other_shard_file:
      return targets.other_shard_file;
    case ProbeAttempt::host_file:
      return targets.host_file;
    case ProbeAttempt::abstract_socket:
      return targets.abstract_socket;
    case ProbeAttempt::path_socket:
      return targets.client_socket;
    default:
      return none;
  }
}

// An address of the documentation's that no rule about datagrams to the discard port covers.
std::string forbidden_address(const NetworkPlan& plan) {
  static constexpr std::uint16_t discard_port = 9;
  static constexpr std::array<std::array<std::uint8_t, 4>, 3> candidates = {
      {{192, 0, 2, 1}, {198, 51, 100, 1}, {203, 0, 113, 1}}};
  for (const auto& candidate : candidates) {
    IpNetwork address{plan.address.version, 0, 0, {}};
    if (address.version == 6) address.bytes = {0x20, 0x01, 0x0d, 0xb8};
    std::copy(candidate.begin(), candidate.end(),
              address.bytes.begin() + (address.version == 4 ? 0 : 12));
    address = host_of(address);
    const auto allows = [&address](const EgressRule& rule) {
      return rule.protocol == EgressProtocol::udp && rule.first_port <= discard_port &&
             rule.last_port >= discard_port && contains(rule.destination, address);
    };
    const auto end = plan.rules.begin() + plan.rule_count;
    if (std::none_of(plan.rules.begin(), end, allows)) return address_text(address);
  }
  return {};
}

}  // namespace

void rehearse_network(const Result<std::optional<NetworkPlan>>& plan,
                      const InstallationPaths& paths, ProbeLaunch& launch) {
  if (!plan) {
    launch.not_applicable = plan.error().message;
    return;
  }
  if (!plan->has_value()) {
    launch.not_promised = "its file asks for no network";
    return;
  }
  NetworkPlan rehearsal = **plan;
  rehearsal.rehearsal = 1;
  const std::string address = forbidden_address(rehearsal);
  if (address.empty()) {
    launch.not_promised = "its list has every address";
    return;
  }
  (void)launch.order.path.assign(address);
  launch.request.network = rehearsal;
  launch.request.network_program_path = paths.network_program();
}

ProbeLaunch make_probe_launch(const ProbeRow& row, LaunchRequest worker,
                              const InstallationPaths& paths, std::uint64_t generation,
                              const ProbeTargets& targets) {
  ProbeLaunch launch;
  const TenantId tenant = *worker.cgroup.tenant;
  launch.request = std::move(worker);
  launch.request.spec.kind = ProgramKind::isolation_probe;
  launch.request.program_path = paths.probe_program();
  launch.request.data_directory = probe_directory_path(paths.state_dir, tenant);
  launch.request.cgroup = CgroupName{tenant, generation, true};
  // Of a pooled worker the files of one shard, in /data itself.
  launch.request.spec.shard_count = 0;
  launch.request.spec.shards = {};
  launch.order = make_link_message<ProbeOrder>(generation);
  launch.order.attempt = row.attempt;
  launch.order.victim_pid = targets.victim_pid;
  if (!launch.order.path.assign(path_for(row.attempt, targets))) {
    launch.not_promised = "the path is too long to be tried";
  }
  if (row.attempt == ProbeAttempt::other_shard_file && targets.other_shard_file.empty()) {
    launch.not_applicable = "no other pooled worker has a shard";
  }
  aim_at_bounds(launch);
  return launch;
}

std::string probe_directory_path(const std::string& state_dir, const TenantId& tenant) {
  return state_dir + "/probes/" + tenant.str();
}

Status make_probe_directory(const std::string& state_dir, const TenantId& tenant, uid_t uid,
                            bool privileged) {
  const std::string parent = state_dir + "/probes";
  if (::mkdir(parent.c_str(), 0711) != 0 && errno != EEXIST) {
    return fail_errno("mkdir " + parent, errno);
  }
  remove_probe_directory(state_dir, tenant);
  const std::string path = probe_directory_path(state_dir, tenant);
  if (::mkdir(path.c_str(), 0700) != 0) return fail_errno("mkdir " + path, errno);
  if (privileged && ::lchown(path.c_str(), uid, uid) != 0) {
    return fail_errno("chown " + path, errno);
  }
  return {};
}

// A handful of files that the jail has made: the probe can add none.
void remove_probe_directory(const std::string& state_dir, const TenantId& tenant) {
  std::error_code ignored;
  std::filesystem::remove_all(probe_directory_path(state_dir, tenant), ignored);
}

void remove_probe_directories(const std::string& state_dir) {
  std::error_code ignored;
  std::filesystem::remove_all(state_dir + "/probes", ignored);
}

}  // namespace tenantd
