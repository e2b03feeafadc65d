#include "supervisor/verify/promises.h"

#include <initializer_list>

namespace tenantd {
namespace {

using enum ProbeSource;
using enum Layer;
constexpr auto database = IsolationCheck::database;
constexpr auto cache = IsolationCheck::cache;
constexpr auto network = IsolationCheck::network;
constexpr auto processes = IsolationCheck::process;
constexpr auto resource = IsolationCheck::resource;

constexpr LayerSet by(std::initializer_list<Layer> list) {
  LayerSet layers;
  for (const Layer one : list) layers.add(one);
  return layers;
}

// Of a process: the tenant's own, or the pooled worker that has the tenant's shard.
constexpr std::uint8_t every_level = level_bit(IsolationLevel::logical) |
                                     level_bit(IsolationLevel::process) |
                                     level_bit(IsolationLevel::physical);
// Of tenants that share a process.
constexpr std::uint8_t pooled = level_bit(IsolationLevel::logical);
// Of tenants with parts of the host to themselves.
constexpr std::uint8_t physical = level_bit(IsolationLevel::physical);

constexpr ProbeRow only_at(std::uint8_t levels, ProbeRow row) {
  row.levels = levels;
  return row;
}

constexpr ProbeRow file(std::string_view name, IsolationCheck check, FileProbe probe,
                        std::initializer_list<Layer> layers, std::string_view mechanism) {
  return {name, check, files, probe, {}, {}, {}, by(layers), every_level, mechanism};
}
constexpr ProbeRow live(std::string_view name, IsolationCheck check,
                        std::array<std::string_view, 4> facts, std::initializer_list<Layer> layers,
                        std::string_view mechanism) {
  return {name, check, posture, {}, facts, {}, {}, by(layers), every_level, mechanism};
}
constexpr ProbeRow tried(std::string_view name, IsolationCheck check, ProbeAttempt one,
                         std::initializer_list<Layer> layers, std::string_view mechanism) {
  return {name, check, attempt, {}, {}, one, {}, by(layers), every_level, mechanism};
}
constexpr ProbeRow planted(std::string_view name, IsolationCheck check, RowProbe one,
                           std::string_view mechanism) {
  return {name, check, ProbeSource::rows, {}, {}, {}, one, {}, pooled, mechanism};
}

constexpr std::array table = {
    file("database.data_directory", database, FileProbe::data_directory, {},
         "a directory of the tenant's uid with mode 0700, below one of the supervisor's"),
    file("database.data_files", database, FileProbe::data_files, {},
         "regular files of the tenant's uid, no links, nothing for group and others"),
    only_at(physical, file("database.storage_root", database, FileProbe::storage_root, {},
                           "the data is in the storage root that the file names, which nobody else "
                           "may write")),
    only_at(pooled, file("database.shards", database, FileProbe::shards, {},
                         "a pooled worker's directory holds its own shards and no other's")),
    file("database.unique_uid", database, FileProbe::unique_uid, {own_uid},
         "no other tenant's directory and not control has its uid"),
    live("database.mount_namespace", database, {"ns_mnt"}, {mount_namespace},
         "a mount namespace that nobody shares"),
    live("database.mounts", database, {"mount", "root"}, {mount_namespace},
         "a root that holds the tenant's own directory alone"),
    tried("database.other_tenant", database, ProbeAttempt::other_tenant_file,
          {mount_namespace, own_uid, landlock}, "opens another tenant's database by its path"),
    only_at(pooled,
            tried("database.other_shard", database, ProbeAttempt::other_shard_file,
                  {mount_namespace, landlock}, "opens another pooled worker's shard by its path")),
    tried("database.host_file", database, ProbeAttempt::host_file, {mount_namespace, landlock},
          "opens a file of the host that everybody may read"),
    planted("database.rows_listed", database, RowProbe::rows_listed,
            "lists its routes: its own alone, none of the verified tenant, none of the other"),
    planted("database.rows_read", database, RowProbe::rows_read,
            "reads the other's routes by their ids"),
    planted("database.rows_routed", database, RowProbe::rows_routed,
            "asks with the other's text, vector, keyword, ids and tag"),
    planted("database.row_existence", database, RowProbe::row_existence,
            "adds an id that the other has, and compares how it is refused with a free one"),
    planted("database.rows_removed", database, RowProbe::rows_removed,
            "replaces and removes routes by the other's ids; the other's are as they were"),
    planted("database.error_texts", database, RowProbe::error_texts,
            "provokes errors, which name nothing of the other"),

    live("cache.ipc_namespace", cache, {"ns_ipc"}, {ipc_namespace},
         "System V and POSIX shared memory of its own"),
    tried("cache.other_memory", cache, ProbeAttempt::other_memory,
          {pid_namespace, own_uid, seccomp},
          "reads the memory of another tenant's worker, where its cache is"),
    tried("cache.shared_memory", cache, ProbeAttempt::shared_memory, {mount_namespace, landlock},
          "opens the host's directory of shared memory"),
    planted("cache.other_entry", cache, RowProbe::other_entry,
            "reads, deletes and clears what the other has cached under its key"),
    planted("cache.other_statistics", cache, RowProbe::other_statistics,
            "watches its own numbers while the other uses its caches"),

    live("network.namespace", network, {"ns_net"}, {network_namespace},
         "a network namespace without a usable interface"),
    tried("network.tcp", network, ProbeAttempt::tcp, {network_namespace, seccomp},
          "connects to the host's loopback device"),
    tried("network.udp", network, ProbeAttempt::udp, {network_namespace, seccomp},
          "sends a datagram to the host's loopback device"),
    only_at(physical, live("network.interface", network, {"interfaces"}, {network_namespace},
                           "the interface that its file asks for, and no other")),
    only_at(physical, tried("network.egress", network, ProbeAttempt::egress, {network_namespace},
                            "sends a datagram to an address that its list has not")),
    tried("network.abstract_socket", network, ProbeAttempt::abstract_socket,
          {network_namespace, landlock}, "connects to an abstract socket that listens on the host"),
    tried("network.path_socket", network, ProbeAttempt::path_socket, {mount_namespace},
          "connects to the clients' socket of this host by its path"),

    live("process.user_namespace", processes, {"ns_user", "uid_map", "gid_map", "setgroups"},
         {user_namespace}, "uid 0 inside is the tenant's uid outside"),
    live("process.pid_namespace", processes, {"ns_pid"}, {pid_namespace},
         "no other process exists for it"),
    live("process.uts_namespace", processes, {"ns_uts"}, {uts_namespace}, "a host name of its own"),
    live("process.cgroup_namespace", processes, {"ns_cgroup"}, {cgroup_namespace},
         "sees its own control group as the root"),
    live("process.own_uid", processes, {"uid", "gid", "groups"}, {own_uid},
         "the tenant's uid and gid, no supplementary group"),
    live("process.capabilities", processes, {"cap_"}, {capabilities}, "no capability in any set"),
    live("process.no_new_privs", processes, {"no_new_privs"}, {no_new_privs},
         "gains nothing by executing"),
    live("process.system_call_filter", processes, {"seccomp"}, {seccomp},
         "both filters, on every thread"),
    live("process.surroundings", processes, {}, {},
         "no terminal, no tracer, no foreign descriptor, not dumpable"),
    file("process.run_record", processes, FileProbe::run_record, {},
         "the record that decides about adoption is the supervisor's alone and names this worker"),
    tried("process.signal", processes, ProbeAttempt::signal, {pid_namespace, own_uid},
          "signals another process"),
    tried("process.trace", processes, ProbeAttempt::trace, {pid_namespace, own_uid, seccomp},
          "attaches to another process as a debugger"),
    tried("process.proc", processes, ProbeAttempt::proc, {mount_namespace, landlock},
          "opens another process's directory below /proc"),
    tried("process.fork", processes, ProbeAttempt::fork, {seccomp}, "makes a process"),
    tried("process.new_namespace", processes, ProbeAttempt::new_namespace, {seccomp},
          "makes a user namespace"),
    tried("process.execute", processes, ProbeAttempt::execute, {seccomp},
          "executes a program from memory"),
    tried("process.system_call", processes, ProbeAttempt::system_call, {seccomp},
          "makes a system call that no worker needs"),

    live("resource.limits", resource, {"limit_"}, {rlimits}, "nine resource limits"),
    live("resource.cpu_group", resource, {"cgroup_cpu", "cgroup cpu"}, {cgroup_cpu},
         "the tenant's control group, with the quota and weight of its file"),
    live("resource.memory_group", resource, {"cgroup_memory", "cgroup memory"}, {cgroup_memory},
         "the tenant's control group, with the maximum of its file"),
    live("resource.pids_group", resource, {"cgroup_pids", "cgroup pids"}, {cgroup_pids},
         "the tenant's control group, with the maximum of its file"),
    live("resource.io_group", resource, {"cgroup_io", "cgroup io", "cgroup blkio"}, {cgroup_io},
         "the tenant's control group, with the I/O bounds of its file"),
    only_at(level_bit(IsolationLevel::physical),
            live("resource.dedicated_cpus", resource, {"cpus_allowed"}, {},
                 "CPUs of its own that every thread is held to, and where no other worker of this "
                 "instance may run")),
    tried("resource.memory", resource, ProbeAttempt::memory, {cgroup_memory},
          "takes more memory than its group's maximum"),
    tried("resource.cpu", resource, ProbeAttempt::cpu, {cgroup_cpu},
          "burns more CPU than its group's quota"),
    tried("resource.threads", resource, ProbeAttempt::threads, {cgroup_pids, rlimits},
          "starts more threads than its group's maximum"),
    tried("resource.descriptors", resource, ProbeAttempt::descriptors, {rlimits},
          "opens more descriptors than its limit"),
    tried("resource.file_size", resource, ProbeAttempt::file_size, {rlimits},
          "writes past the bound of its disk"),
    tried("resource.new_file", resource, ProbeAttempt::new_file, {landlock},
          "adds a file to its data directory"),
};
static_assert(table.size() <= VerifyProbeRecord::max_records);

}  // namespace

std::span<const ProbeRow> probe_rows() noexcept { return table; }

}  // namespace tenantd
