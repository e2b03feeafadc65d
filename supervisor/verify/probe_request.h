// What a probe process is launched with: the tenant's worker's own launch, and where it differs.
//
// Runs in: the supervisor. It differs in six things: the program; no network, or one that ends at
// the host's end, since its address is the worker's; a data directory of its own, so
// that it can never touch the tenant's data (and without shards, where the worker has some); a
// control group of its own beside the tenant's, so that neither its lack of memory nor its use of
// the CPU is the tenant's; and in that group, for the attempts on memory, CPU and threads, bounds
// low enough that reaching them costs the host nothing.
#pragma once

#include <string>

#include "supervisor/process/workforce.h"
#include "supervisor/verify/promises.h"

namespace tenantd {

// What the attempts are aimed at.
struct ProbeTargets {
  std::string other_tenant_file;
  std::string other_shard_file;  // empty: no other pooled worker has one
  std::string host_file;
  std::string client_socket;
  std::string abstract_socket;  // without the leading zero
  pid_t victim_pid = 0;
};

struct ProbeLaunch {
  LaunchRequest request;
  ProbeOrder order;
  // Why there is nothing to try; both empty: there is.
  std::string not_promised;
  std::string not_applicable;
};

// The worker's network for the probe that tries to leave it: the same rules, address and routes in
// its own namespace, and nobody at the other end. Without a network there is nothing to leave.
void rehearse_network(const Result<std::optional<NetworkPlan>>& plan,
                      const InstallationPaths& paths, ProbeLaunch& launch);

[[nodiscard]] ProbeLaunch make_probe_launch(const ProbeRow& row, LaunchRequest worker,
                                            const InstallationPaths& paths,
                                            std::uint64_t generation, const ProbeTargets& targets);

// <state>/probes/<tenant>: empty, mode 0700, of the tenant's uid. Replaces what an earlier
// supervisor left.
[[nodiscard]] Status make_probe_directory(const std::string& state_dir, const TenantId& tenant,
                                          uid_t uid, bool privileged);
void remove_probe_directory(const std::string& state_dir, const TenantId& tenant);
// Of all tenants: what an earlier supervisor left.
void remove_probe_directories(const std::string& state_dir);
[[nodiscard]] std::string probe_directory_path(const std::string& state_dir,
                                               const TenantId& tenant);

}  // namespace tenantd
