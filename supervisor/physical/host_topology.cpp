#include "supervisor/physical/host_topology.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "shared/os/process.h"

namespace tenantd {
namespace {

Result<CpuSet> read_set(const std::string& path) {
  const auto text = read_small_file(path);
  if (!text) return tl::unexpected(text.error());
  return CpuSet::parse(*text);
}

// "Node 0 MemTotal:       16301208 kB"
std::uint64_t node_memory_bytes(const std::string& path) {
  const std::string text = read_small_file(path).value_or("");
  static constexpr std::string_view label = "MemTotal:";
  const std::size_t at = text.find(label);
  unsigned long long kibibytes = 0;
  if (at == std::string::npos ||
      std::sscanf(text.c_str() + at + label.size(), "%llu", &kibibytes) != 1) {
    return 0;
  }
  return std::uint64_t{kibibytes} << 10U;
}

std::vector<CpuSet> read_cores(const std::string& system, const CpuSet& online) {
  std::vector<CpuSet> cores;
  CpuSet seen;
  for (const std::uint32_t cpu : online.list()) {
    if (seen.has(cpu)) continue;
    CpuSet core = CpuSet::of({cpu});
    const std::string topology = system + "/cpu/cpu" + std::to_string(cpu) + "/topology/";
    for (const char* file : {"core_cpus_list", "thread_siblings_list"}) {
      const auto siblings = read_set(topology + file);
      if (!siblings || !siblings->has(cpu)) continue;
      core = siblings->common(online).without(seen);
      break;
    }
    seen = seen.with(core);
    cores.push_back(core);
  }
  return cores;
}

}  // namespace

const NumaNode* HostTopology::node(std::uint32_t id) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [id](const NumaNode& node) { return node.id == id; });
  return found == nodes.end() ? nullptr : &*found;
}

// Node numbers have the format of CPU numbers and the same bound.
std::string HostTopology::nodes_of(const CpuSet& cpus) const {
  CpuSet ids;
  for (const NumaNode& node : nodes) {
    if (node.cpus.meets(cpus)) ids.add(node.id);
  }
  return ids.str();
}

std::string HostTopology::node_ids() const {
  CpuSet ids;
  for (const NumaNode& node : nodes) ids.add(node.id);
  return ids.str();
}

Result<HostTopology> read_host_topology(const std::string& system, std::uint64_t memory_bytes) {
  HostTopology host;
  host.memory_bytes = memory_bytes;
  const auto online = read_set(system + "/cpu/online");
  if (!online) return tl::unexpected(online.error());
  host.online = *online;
  host.cores = read_cores(system, host.online);
  const auto nodes = read_set(system + "/node/online");
  for (const std::uint32_t id : nodes ? nodes->list() : std::vector<std::uint32_t>{}) {
    const std::string directory = system + "/node/node" + std::to_string(id);
    const auto cpus = read_set(directory + "/cpulist");
    host.nodes.push_back({id, cpus ? cpus->common(host.online) : CpuSet{},
                          node_memory_bytes(directory + "/meminfo")});
  }
  if (host.nodes.empty()) host.nodes.push_back({0, host.online, memory_bytes});
  return host;
}

Result<HostTopology> read_host_topology() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  const std::uint64_t memory_bytes =
      pages > 0 && page_bytes > 0
          ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes)
          : 0;
  return read_host_topology("/sys/devices/system", memory_bytes);
}

}  // namespace tenantd
