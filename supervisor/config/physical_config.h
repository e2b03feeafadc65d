// What a tenant of the physical isolation level asks of the host for itself, and what the host's
// owner has to give: the sections [physical] of both files.
//
// Runs in: the supervisor. A tenant's file only names what tenantd.toml, which root alone writes,
// lists: no path, program or interface of the host comes from a tenant's file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/config/field_spec.h"

namespace tenantd {

enum class NetworkKind : std::uint8_t { none = 0, veth = 1, interface = 2 };

// Of a tenant. Defaults are the table's.
struct PhysicalConfig {
  std::uint32_t cpus = 0;  // that nobody else's worker runs on; 0: none
  std::optional<std::uint32_t> numa_node;
  std::optional<std::uint64_t> guaranteed_memory_bytes;  // unset: memory_max
  std::string storage;   // a name of PhysicalHostConfig::storage_roots; empty: state_dir
  std::string program;   // of programs; empty: tenantd-worker
  std::string on_start;  // of hooks; empty: none
  std::string on_stop;
  NetworkKind network = NetworkKind::none;
  std::string interface;            // of interfaces
  std::string address;              // "10.77.0.2/30"
  std::string gateway;              // "10.77.0.1"
  std::vector<std::string> egress;  // "tcp 203.0.113.0/24:443"
  // No keys: the paths that the names above stand for, filled in once they have been checked.
  std::string storage_root;
  std::string program_path;
  std::string on_start_path;
  std::string on_stop_path;
};

// Of tenantd.toml.
struct PhysicalHostConfig {
  std::string cpus;                // "2-5,8": may be dedicated to tenants
  bool partition = false;          // may be taken from the whole host
  std::uint64_t memory_bytes = 0;  // may be guaranteed, all tenants together
  std::vector<NamedPath> storage_roots;
  std::vector<NamedPath> programs;
  std::vector<NamedPath> hooks;
  std::vector<std::string> interfaces;
  std::vector<std::string> networks;  // that tenants' addresses may be of
};

// Null: there is none of that name.
[[nodiscard]] const NamedPath* find_named_path(const std::vector<NamedPath>& paths,
                                               const std::string& name);

// Fills in the paths of `wanted`; a name that is not listed gives an empty one.
void resolve_paths(PhysicalConfig& wanted, const PhysicalHostConfig& host);

// The rows of both sections.
void add_physical_tenant_fields(std::vector<FieldSpec>& rows);
void add_physical_daemon_fields(std::vector<FieldSpec>& rows);

}  // namespace tenantd
