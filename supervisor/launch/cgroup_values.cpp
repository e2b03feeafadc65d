// What a tenant's limits are in the kernel's files.
#include "supervisor/launch/cgroup_values.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>

#include "shared/os/process.h"

namespace tenantd {
namespace {

constexpr std::uint64_t v1_default_shares = 1024;
constexpr std::uint64_t v2_default_weight = 100;
constexpr std::array v1_io_files = {
    "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"};

std::string or_max(std::uint64_t value) { return value == 0 ? "max" : std::to_string(value); }

std::string device_of(const IoLimit& io) {
  return std::to_string(io.major) + ":" + std::to_string(io.minor);
}

// Devices ("254:0") that a file of limits names and `limits` does not.
std::vector<std::string> stale_devices(const std::string& path, const ResourceLimits& limits) {
  std::vector<std::string> devices;
  std::istringstream lines(read_small_file(path).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const std::string device = line.substr(0, line.find(' '));
    const auto* const end = limits.io.begin() + limits.io_count;
    const bool wanted = std::any_of(
        limits.io.begin(), end, [&device](const IoLimit& io) { return device_of(io) == device; });
    if (!wanted && device.find(':') != std::string::npos) devices.push_back(device);
  }
  return devices;
}

std::optional<std::uint64_t> number_in(const std::string& text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// The rest of the line that begins with `device`; empty without one.
std::string line_of(const std::string& device, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(device + " ")) return line.substr(device.size() + 1);
  }
  return {};
}

}  // namespace

bool holds_value(const CgroupValue& wanted, const std::string& actual) {
  static constexpr std::uint64_t page_bytes = 4096;
  static constexpr std::uint64_t v1_unlimited = 1ULL << 62U;
  if (actual == wanted.value) return true;
  const std::size_t device_end = wanted.value.find(' ');
  if (wanted.value.find(':') < device_end && device_end != std::string::npos) {
    const std::string line = line_of(wanted.value.substr(0, device_end), actual);
    const std::string limits = wanted.value.substr(device_end + 1);
    const bool lifted = limits == "0" || limits == "rbps=max wbps=max riops=max wiops=max";
    return line == limits || (line.empty() && lifted);
  }
  const auto number = number_in(actual);
  if (!number) return false;
  if (wanted.value == "-1") return *number >= v1_unlimited;
  const auto expected = number_in(wanted.value);
  return expected && wanted.controller == "memory" &&
         *number == *expected / page_bytes * page_bytes;
}

std::vector<CgroupValue> v1_values(const ResourceLimits& limits, LayerSet layers) {
  std::vector<CgroupValue> values;
  // First: it is the one that the kernel may refuse, and then nothing has changed.
  if (layers.has(Layer::cgroup_memory)) {
    const std::string limit =
        limits.memory_max_bytes == 0 ? "-1" : std::to_string(limits.memory_max_bytes);
    values.push_back({"memory", "memory.limit_in_bytes", limit});
  }
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
  if (layers.has(Layer::cgroup_pids)) {
    values.push_back({"pids", "pids.max", or_max(limits.pids_max)});
  }
  for (std::size_t i = 0; layers.has(Layer::cgroup_io) && i < limits.io_count; ++i) {
    const IoLimit& io = limits.io[i];
    const std::array bounds = {io.read_bps, io.write_bps, io.read_iops, io.write_iops};
    for (std::size_t file = 0; file < v1_io_files.size(); ++file) {
      values.push_back(
          {"blkio", v1_io_files[file], device_of(io) + " " + std::to_string(bounds[file])});
    }
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
                      device_of(io) + " rbps=" + or_max(io.read_bps) +
                          " wbps=" + or_max(io.write_bps) + " riops=" + or_max(io.read_iops) +
                          " wiops=" + or_max(io.write_iops)});
  }
  return values;
}

void add_v1_io_removals(const std::string& directory, const ResourceLimits& limits,
                        std::vector<CgroupValue>& values) {
  for (const char* file : v1_io_files) {
    for (const std::string& device : stale_devices(directory + "/" + file, limits)) {
      values.push_back({"blkio", file, device + " 0"});
    }
  }
}

void add_v2_io_removals(const std::string& directory, const ResourceLimits& limits,
                        std::vector<CgroupValue>& values) {
  for (const std::string& device : stale_devices(directory + "/io.max", limits)) {
    values.push_back({"io", "io.max", device + " rbps=max wbps=max riops=max wiops=max"});
  }
}

void add_v2_io_weight(const std::string& directory, const ResourceLimits& limits,
                      std::vector<CgroupValue>& values) {
  static constexpr std::uint16_t bfq_max = 1000;
  if (limits.io_weight == 0) return;
  if (::access((directory + "/io.weight").c_str(), W_OK) == 0) {
    values.push_back({"io", "io.weight", "default " + std::to_string(limits.io_weight)});
  }
  if (::access((directory + "/io.bfq.weight").c_str(), W_OK) == 0) {
    values.push_back({"io", "io.bfq.weight", std::to_string(std::min(limits.io_weight, bfq_max))});
  }
}

}  // namespace tenantd
