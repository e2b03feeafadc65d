#include "supervisor/launch/cgroup_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>

#include "shared/os/process.h"

namespace tenantd {
namespace {

constexpr std::uint64_t v1_default_shares = 1024;
constexpr std::uint64_t v2_default_weight = 100;

// Subdirectories of `path`, without "." and "..".
std::vector<std::string> subdirectories(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string name(entry->d_name);
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  (void)::closedir(directory);
  return names;
}

void list_of(const std::string& directory, std::optional<TenantId> tenant,
             std::vector<CgroupName>& out) {
  for (const std::string& name : subdirectories(directory)) {
    std::uint64_t generation = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + 1, end, generation);
    if (name.size() > 1 && name[0] == 'g' && parsed.ec == std::errc{} && parsed.ptr == end) {
      out.push_back(CgroupName{tenant, generation});
    }
  }
}

std::string or_max(std::uint64_t value) { return value == 0 ? "max" : std::to_string(value); }

}  // namespace

CgroupMode CgroupMounts::mode() const {
  if (v1.empty()) return v2.empty() ? CgroupMode::none : CgroupMode::v2;
  return v2.empty() ? CgroupMode::v1 : CgroupMode::hybrid;
}

Result<CgroupMounts> read_cgroup_mounts() {
  const auto text = read_small_file("/proc/self/mountinfo");
  if (!text) return tl::unexpected(text.error());
  CgroupMounts mounts;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string skipped;
    std::string point;
    fields >> skipped >> skipped >> skipped >> skipped >> point;
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream tail(line.substr(dash + 3));
    std::string type;
    std::string options;
    tail >> type >> skipped >> options;
    if (type == "cgroup2" && mounts.v2.empty()) {
      mounts.v2 = point;
      mounts.v2_controllers = read_small_file(point + "/cgroup.controllers").value_or("");
    }
    if (type != "cgroup") continue;
    std::istringstream names(options);
    for (std::string name; std::getline(names, name, ',');) {
      for (const char* known : {"cpu", "cpuacct", "memory", "pids", "blkio"}) {
        if (name == known) mounts.v1.emplace(name, point);
      }
    }
  }
  return mounts;
}

std::string tenant_path(const CgroupName& name) {
  return name.tenant ? "tenants/" + name.tenant->str() : "control";
}

std::string generation_path(const CgroupName& name) {
  return tenant_path(name) + "/g" + std::to_string(name.generation);
}

std::vector<CgroupValue> v1_values(const ResourceLimits& limits, LayerSet layers) {
  std::vector<CgroupValue> values;
  if (layers.has(Layer::cgroup_cpu)) {
    // Weight 100 is the kernel's default of v2, 1024 shares that of v1.
    const std::uint64_t shares = limits.cpu_weight == 0
                                     ? v1_default_shares
                                     : std::max<std::uint64_t>(2, limits.cpu_weight * 1024UL / 100);
    values.push_back({"cpu", "cpu.shares", std::to_string(shares)});
    if (limits.cpu_millicores != 0) {
      values.push_back({"cpu", "cpu.cfs_period_us", std::to_string(ResourceLimits::cpu_period_us)});
    }
    const std::string quota =
        limits.cpu_millicores == 0 ? "-1" : std::to_string(limits.cpu_quota_us());
    values.push_back({"cpu", "cpu.cfs_quota_us", quota});
  }
  if (layers.has(Layer::cgroup_memory)) {
    const std::string limit =
        limits.memory_max_bytes == 0 ? "-1" : std::to_string(limits.memory_max_bytes);
    values.push_back({"memory", "memory.limit_in_bytes", limit});
  }
  if (layers.has(Layer::cgroup_pids)) {
    values.push_back({"pids", "pids.max", or_max(limits.pids_max)});
  }
  for (std::size_t i = 0; layers.has(Layer::cgroup_io) && i < limits.io_count; ++i) {
    const IoLimit& io = limits.io[i];
    const std::string device = std::to_string(io.major) + ":" + std::to_string(io.minor) + " ";
    const auto put = [&values, &device](const char* file, std::uint64_t value) {
      values.push_back(
          {"blkio", std::string("blkio.throttle.") + file, device + std::to_string(value)});
    };
    put("read_bps_device", io.read_bps);
    put("write_bps_device", io.write_bps);
    put("read_iops_device", io.read_iops);
    put("write_iops_device", io.write_iops);
  }
  return values;
}

std::vector<CgroupValue> v2_values(const ResourceLimits& limits, LayerSet layers) {
  std::vector<CgroupValue> values;
  if (layers.has(Layer::cgroup_cpu)) {
    const std::uint64_t weight = limits.cpu_weight == 0 ? v2_default_weight : limits.cpu_weight;
    values.push_back({"cpu", "cpu.weight", std::to_string(weight)});
    const std::string quota =
        limits.cpu_millicores == 0 ? "max" : std::to_string(limits.cpu_quota_us());
    values.push_back(
        {"cpu", "cpu.max", quota + " " + std::to_string(ResourceLimits::cpu_period_us)});
  }
  if (layers.has(Layer::cgroup_memory)) {
    values.push_back({"memory", "memory.high", or_max(limits.memory_high_bytes)});
    values.push_back({"memory", "memory.max", or_max(limits.memory_max_bytes)});
    values.push_back({"memory", "memory.oom.group", "1"});
  }
  if (layers.has(Layer::cgroup_pids)) {
    values.push_back({"pids", "pids.max", or_max(limits.pids_max)});
  }
  for (std::size_t i = 0; layers.has(Layer::cgroup_io) && i < limits.io_count; ++i) {
    const IoLimit& io = limits.io[i];
    values.push_back({"io", "io.max",
                      std::to_string(io.major) + ":" + std::to_string(io.minor) +
                          " rbps=" + or_max(io.read_bps) + " wbps=" + or_max(io.write_bps) +
                          " riops=" + or_max(io.read_iops) + " wiops=" + or_max(io.write_iops)});
  }
  return values;
}

std::uint64_t read_cgroup_number(const std::string& path, std::string_view key) {
  const auto text = read_small_file(path);
  if (!text) return 0;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::string_view rest(line);
    if (!key.empty()) {
      if (!rest.starts_with(key) || rest.size() <= key.size() || rest[key.size()] != ' ') continue;
      rest.remove_prefix(key.size() + 1);
    }
    std::uint64_t value = 0;
    (void)std::from_chars(rest.data(), rest.data() + rest.size(), value);
    return value;
  }
  return 0;
}

Result<std::vector<pid_t>> read_cgroup_processes(const std::string& directory) {
  const auto text = read_small_file(directory + "/cgroup.procs");
  if (!text) return tl::unexpected(text.error());
  std::vector<pid_t> pids;
  std::istringstream lines(*text);
  for (pid_t pid = 0; lines >> pid;) {
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

std::vector<CgroupName> list_generations(const std::string& root_directory) {
  std::vector<CgroupName> names;
  for (const std::string& id : subdirectories(root_directory + "/tenants")) {
    const auto tenant = TenantId::parse(id);
    if (tenant) list_of(root_directory + "/tenants/" + id, *tenant, names);
  }
  list_of(root_directory + "/control", std::nullopt, names);
  return names;
}

Status remove_group(const std::string& directory) {
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
  const int saved_errno = errno;
  auto error = fail_errno("rmdir " + directory, saved_errno);
  if (saved_errno == EBUSY) error.value().code = ErrorCode::unavailable;
  return error;
}

bool has_no_children(const std::string& directory) { return subdirectories(directory).empty(); }

}  // namespace tenantd
