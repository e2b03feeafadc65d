// The tables of [physical] in a tenant's file and in tenantd.toml: one row a key.
#include <algorithm>

#include "supervisor/config/daemon_config.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {
namespace {

template <class Config, auto Access>
FieldSpec at(FieldSpec row) {
  row.section = "physical";
  return bind_field<Config, Access>(row);
}
// The member of the section a row fills.
#define TENANTD_OF_TENANT(member)                                                 \
  at < TenantConfig, [](auto& config) -> auto& { return config.physical.member; } \
  >
#define TENANTD_OF_HOST(member)                                                   \
  at < DaemonConfig, [](auto& config) -> auto& { return config.physical.member; } \
  >

using enum ValueType;
constexpr auto new_worker = Applies::new_worker;
constexpr auto reload = Applies::daemon_reload;
constexpr auto restart = Applies::daemon_restart;

constexpr std::string_view network_names[] = {"none", "veth", "interface"};
constexpr std::uint64_t tebibyte = 1ULL << 40U;

}  // namespace

// clang-format off
void add_physical_tenant_fields(std::vector<FieldSpec>& rows) {
  rows.insert(rows.end(), {
    TENANTD_OF_TENANT(cpus)({.key = "cpus", .type = integer, .max = 1024, .fallback = "1",
        .example = "2", .applies = new_worker,
        .doc = "CPUs of the tenant's own, of those that `[physical] cpus` of tenantd.toml sets "
               "aside; a lower `resources.cpu` is raised to them. 0: none."}),
    TENANTD_OF_TENANT(numa_node)({.key = "numa_node", .type = integer, .max = 1023, .example = "1",
        .applies = new_worker,
        .doc = "The node that the CPUs and the memory are of. Default: one that has enough CPUs."}),
    TENANTD_OF_TENANT(guaranteed_memory_bytes)({.key = "guaranteed_memory", .type = size,
        .max = tebibyte, .example = "\"128M\"", .applies = new_worker,
        .doc = "Memory that is not reclaimed for anybody else's sake (cgroup v2). Default: all of "
               "`memory_max`; `\"0M\"`: none."}),
    TENANTD_OF_TENANT(storage)({.key = "storage", .type = text, .max = 40, .fallback = "\"\"",
        .example = "\"fast\"", .applies = new_worker,
        .doc = "Where the tenant's data is: a name under `storage_roots` of tenantd.toml, another "
               "disk for example. Empty: with the other tenants'."}),
    TENANTD_OF_TENANT(program)({.key = "program", .type = text, .max = 40, .fallback = "\"\"",
        .example = "\"classifier\"", .applies = new_worker,
        .doc = "A worker program of the tenant's own: a name under `programs` of tenantd.toml. "
               "Empty: tenantd's."}),
    TENANTD_OF_TENANT(on_start)({.key = "on_start", .type = text, .max = 40, .fallback = "\"\"",
        .example = "\"warm-up\"",
        .doc = "A program of the host's owner that is run when the worker is ready: a name under "
               "`hooks` of tenantd.toml."}),
    TENANTD_OF_TENANT(on_stop)({.key = "on_stop", .type = text, .max = 40, .fallback = "\"\"",
        .example = "\"archive\"",
        .doc = "The same, when the worker has ended."}),
    TENANTD_OF_TENANT(network)({.key = "network", .type = choice, .choices = network_names,
        .fallback = "\"none\"", .example = "\"interface\"", .applies = new_worker,
        .doc = "`none`: a network namespace without an interface. `veth`: one end of a pair whose "
               "other end the host has. `interface`: an interface of the host's, taken from it "
               "for as long as the worker runs."}),
    TENANTD_OF_TENANT(interface)({.key = "interface", .type = text, .max = 15, .fallback = "\"\"",
        .example = "\"eth1\"", .applies = new_worker,
        .doc = "With `network = \"interface\"`: one of `interfaces` of tenantd.toml."}),
    TENANTD_OF_TENANT(address)({.key = "address", .type = text, .max = 49, .fallback = "\"\"",
        .example = "\"10.77.0.2/30\"", .applies = new_worker,
        .doc = "The worker's address and its network, all of it within `networks` of tenantd.toml."}),
    TENANTD_OF_TENANT(gateway)({.key = "gateway", .type = text, .max = 45, .fallback = "\"\"",
        .example = "\"10.77.0.1\"", .applies = new_worker,
        .doc = "The address that everything else is reached through. Of a veth pair it is given to "
               "the host's end."}),
    TENANTD_OF_TENANT(egress)({.key = "egress", .type = text_list, .max = 64, .fallback = "[]",
        .example = "[\"tcp 203.0.113.0/24:443\", \"udp 10.77.0.1:53\"]", .applies = new_worker,
        .doc = "What the worker may send to: protocol, address or network, port. Everything else is "
               "dropped in its namespace, and nobody can connect to it."}),
  });
}

void add_physical_daemon_fields(std::vector<FieldSpec>& rows) {
  rows.insert(rows.end(), {
    TENANTD_OF_HOST(cpus)({.key = "cpus", .type = text, .max = 255, .fallback = "\"\"",
        .example = "\"2-5,8\"", .applies = restart,
        .doc = "CPUs that may be dedicated to platinum tenants. No other worker, nor tenantd "
               "itself, runs on them. Empty: none."}),
    TENANTD_OF_HOST(partition)({.key = "partition", .type = boolean, .fallback = "false",
        .applies = restart,
        .doc = "Dedicated CPUs are taken from the whole host: tenantd makes cpuset partitions right "
               "below the root of the control groups (v2). Otherwise they are exclusive among "
               "tenantd's processes only; the status says which."}),
    TENANTD_OF_HOST(memory_bytes)({.key = "memory", .type = size, .max = 1024 * tebibyte,
        .fallback = "\"0M\"", .example = "\"16G\"", .applies = reload,
        .doc = "Memory that may be guaranteed, all platinum tenants together."}),
    TENANTD_OF_HOST(storage_roots)({.key = "storage_roots", .type = path_table, .max = 64,
        .example = "{ fast = \"/mnt/nvme1/tenantd\" }", .applies = reload,
        .doc = "Directories that platinum tenants' data may be in, by name."}),
    TENANTD_OF_HOST(programs)({.key = "programs", .type = path_table, .max = 64,
        .example = "{ classifier = \"/opt/acme/classifier-worker\" }", .applies = reload,
        .doc = "Worker programs that platinum tenants may have, by name; see the worker contract."}),
    TENANTD_OF_HOST(hooks)({.key = "hooks", .type = path_table, .max = 64,
        .example = "{ warm-up = \"/usr/local/sbin/warm-up\" }", .applies = reload,
        .doc = "Programs that platinum tenants' files may have run at the start and the end of "
               "their workers, by name."}),
    TENANTD_OF_HOST(interfaces)({.key = "interfaces", .type = text_list, .max = 64,
        .fallback = "[]", .example = "[\"eth1\"]", .applies = reload,
        .doc = "Network interfaces that a platinum tenant may take from the host."}),
    TENANTD_OF_HOST(networks)({.key = "networks", .type = cidr_list, .max = 64, .fallback = "[]",
        .example = "[\"10.77.0.0/16\"]", .applies = reload,
        .doc = "Networks that platinum tenants' addresses may be of."}),
  });
}
// clang-format on

const NamedPath* find_named_path(const std::vector<NamedPath>& paths, const std::string& name) {
  const auto found = std::find_if(paths.begin(), paths.end(),
                                  [&name](const NamedPath& path) { return path.name == name; });
  return found == paths.end() ? nullptr : &*found;
}

void resolve_paths(PhysicalConfig& wanted, const PhysicalHostConfig& host) {
  const auto path_of = [](const std::vector<NamedPath>& paths, const std::string& name) {
    const NamedPath* const found = find_named_path(paths, name);
    return found == nullptr ? std::string() : found->path;
  };
  wanted.storage_root = path_of(host.storage_roots, wanted.storage);
  wanted.program_path = path_of(host.programs, wanted.program);
  wanted.on_start_path = path_of(host.hooks, wanted.on_start);
  wanted.on_stop_path = path_of(host.hooks, wanted.on_stop);
}

}  // namespace tenantd
