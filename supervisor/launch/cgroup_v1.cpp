// cgroup v1 and hybrid through libcgroup: one hierarchy a controller, needs root.
//
// Runs in: the supervisor. A failed create of libcgroup leaves directories behind: they are removed
// here.
#include <fcntl.h>
#include <libcgroup.h>
#include <signal.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"
#include "supervisor/launch/cgroup_writer.h"

namespace tenantd {
namespace {

constexpr std::array v1_controllers = {
    ControllerLayer{"cpu", Layer::cgroup_cpu}, ControllerLayer{"memory", Layer::cgroup_memory},
    ControllerLayer{"pids", Layer::cgroup_pids}, ControllerLayer{"blkio", Layer::cgroup_io}};

class CgroupV1 final : public CgroupBackend {
 public:
  CgroupV1(CgroupMounts mounts, std::string root)
      : mounts_(std::move(mounts)), root_(std::move(root)), writer_(make_writer(mounts_)) {}

  CgroupMode mode() const override { return mounts_.mode(); }
  LayerSet layers() const override {
    LayerSet layers;
    for (const auto& [controller, layer] : v1_controllers) {
      if (mounts_.v1.contains(controller)) layers.add(layer);
    }
    return layers;
  }

  CgroupAbilities abilities() const override { return {writer_->name(), false, false}; }

  Status create(const CgroupName& name, const ResourceLimits& limits) override {
    const bool fresh_tenant = list_of_tenant_is_empty(name);
    auto made = writer_->make_group(root_ + "/" + tenant_path(name), values_for(name, limits));
    if (made) made = writer_->make_group(root_ + "/" + generation_path(name), {});
    if (made) return {};
    remove_everywhere(generation_path(name));
    if (fresh_tenant) remove_everywhere(tenant_path(name));
    return made;
  }

  // By plain writes: libcgroup moves one thread, cgroup.procs the whole process.
  Status attach(const CgroupName& name, pid_t pid) override {
    for (const auto& [controller, point] : mounts_.v1) {
      auto moved =
          write_existing_file(place_of(controller, name) + "/cgroup.procs", std::to_string(pid));
      if (!moved) return moved;
    }
    return {};
  }

  Result<std::vector<UniqueFd>> entrances(const CgroupName& name) override {
    std::vector<UniqueFd> files;
    std::optional<std::size_t> cpu;
    const auto of_cpu = mounts_.v1.find("cpu");
    for (const auto& [controller, point] : mounts_.v1) {
      // Mounted together ("cpu,cpuacct"): the same group, entered once.
      if (of_cpu != mounts_.v1.end() && controller != "cpu" && point == of_cpu->second) continue;
      const std::string path = place_of(controller, name) + "/tasks";
      files.emplace_back(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
      if (!files.back()) return fail_errno("open " + path, errno);
      if (controller == "cpu") cpu = files.size() - 1;
    }
    if (cpu) std::swap(files[*cpu], files.back());
    return files;
  }

  Result<UniqueFd> directory(const CgroupName& /*name*/) override {
    return fail(ErrorCode::unsupported, "cgroup v1 has no CLONE_INTO_CGROUP");
  }

  Status apply(const CgroupName& name, const ResourceLimits& limits) override {
    auto applied = writer_->write_values(root_ + "/" + tenant_path(name), values_for(name, limits));
    if (applied || applied.error().code != ErrorCode::resource_exhausted) return applied;
    return fail_memory_in_use(
        limits.memory_max_bytes,
        read_cgroup_number(directory_of("memory", tenant_path(name)) + "/memory.usage_in_bytes"));
  }

  Result<CgroupUsage> usage(const CgroupName& name) override {
    CgroupUsage usage;
    const std::string memory = directory_of("memory", tenant_path(name));
    const std::string generation_memory = directory_of("memory", generation_path(name));
    if (!memory.empty()) {
      usage.has_memory = true;
      usage.memory_bytes = read_cgroup_number(memory + "/memory.usage_in_bytes");
      usage.memory_peak_bytes = read_cgroup_number(memory + "/memory.max_usage_in_bytes");
      const std::uint64_t limit = read_cgroup_number(memory + "/memory.limit_in_bytes");
      usage.memory_max_bytes = limit >= (1ULL << 62U) ? 0 : limit;  // v1's "none" is huge
      // Counted where the victim was, not where the limit is.
      usage.oom_kills = read_cgroup_number(memory + "/memory.oom_control", "oom_kill") +
                        read_cgroup_number(generation_memory + "/memory.oom_control", "oom_kill");
    }
    if (const std::string cpu = directory_of("cpuacct", tenant_path(name)); !cpu.empty()) {
      usage.cpu_us = read_cgroup_number(cpu + "/cpuacct.usage") / 1000;
    }
    if (const std::string cpu = directory_of("cpu", tenant_path(name)); !cpu.empty()) {
      usage.throttled_us = read_cgroup_number(cpu + "/cpu.stat", "throttled_time") / 1000;
      usage.throttled_periods = read_cgroup_number(cpu + "/cpu.stat", "nr_throttled");
      usage.periods = read_cgroup_number(cpu + "/cpu.stat", "nr_periods");
    }
    if (const std::string pids = directory_of("pids", tenant_path(name)); !pids.empty()) {
      usage.pids = read_cgroup_number(pids + "/pids.current");
    }
    return usage;
  }

  std::vector<CgroupSetting> settings(const CgroupName& name,
                                      const ResourceLimits& limits) override {
    std::vector<CgroupSetting> settings;
    for (const CgroupValue& value : v1_values(limits, layers())) {
      settings.push_back(read_setting(directory_of(value.controller, tenant_path(name)), value));
    }
    return settings;
  }

  Status kill(const CgroupName& name) override {
    const auto pids = processes(name);
    if (!pids) return tl::unexpected(pids.error());
    for (const pid_t pid : *pids) {
      if (::kill(pid, SIGKILL) != 0 && errno != ESRCH) return fail_errno("kill", errno);
    }
    return {};
  }

  Status remove(const CgroupName& name) override {
    Status outcome;
    for (const auto& [controller, point] : mounts_.v1) {
      auto removed = remove_group(directory_of(controller, generation_path(name)));
      if (!removed) outcome = removed;
    }
    if (!outcome) return outcome;
    if (list_of_tenant_is_empty(name)) remove_everywhere(tenant_path(name));
    return {};
  }

  Result<std::vector<CgroupName>> list() override {
    return list_generations(directory_of(leader(), ""));
  }

  Result<std::vector<pid_t>> processes(const CgroupName& name) override {
    return read_cgroup_processes(directory_of(leader(), generation_path(name)));
  }

  std::string root_directory() const override { return directory_of(leader(), ""); }

  void remove_root() override {
    for (const auto& [controller, point] : mounts_.v1) {
      for (const char* part : {"tenants", "probes", "control"}) {
        remove_empty_groups(directory_of(controller, part));
      }
    }
    remove_everywhere("");
  }

  // The groups that hold all others.
  Status prepare() {
    auto made = writer_->make_group(root_, {});
    if (made) made = writer_->make_group(root_ + "/tenants", {});
    if (made) made = writer_->make_group(root_ + "/probes", {});
    return made;
  }

 private:
  // The hierarchy that is asked about processes: all but the CPU's hold the same.
  [[nodiscard]] std::string leader() const {
    if (mounts_.v1.contains("memory") && !is_of_cpu("memory")) return "memory";
    for (const auto& [controller, point] : mounts_.v1) {
      if (!is_of_cpu(controller)) return controller;
    }
    return mounts_.v1.begin()->first;
  }
  // Mounted where the CPU's controller is.
  [[nodiscard]] bool is_of_cpu(const std::string& controller) const {
    const auto cpu = mounts_.v1.find("cpu");
    return cpu != mounts_.v1.end() && mounts_.v1.at(controller) == cpu->second;
  }
  [[nodiscard]] std::string directory_of(const std::string& controller,
                                         const std::string& path) const {
    const auto found = mounts_.v1.find(controller);
    if (found == mounts_.v1.end()) return {};
    return found->second + "/" + root_ + (path.empty() ? "" : "/" + path);
  }
  // The group that a process enters. In the CPU's hierarchy that is the tenant's own, where the
  // limit is: a process that sleeps and wakes leaves and enters the queue of every group above it,
  // 0.25 µs a level and round trip. Unless no other hierarchy could tell generations apart.
  [[nodiscard]] std::string place_of(const std::string& controller, const CgroupName& name) const {
    const bool alone = is_of_cpu(leader());
    const bool shared = is_of_cpu(controller) && !alone;
    return directory_of(controller, shared ? tenant_path(name) : generation_path(name));
  }
  [[nodiscard]] bool list_of_tenant_is_empty(const CgroupName& name) const {
    return has_no_children(directory_of(leader(), tenant_path(name)));
  }
  void remove_everywhere(const std::string& path) {
    for (const auto& [controller, point] : mounts_.v1) {
      (void)remove_group(directory_of(controller, path));  // best effort: shown by list()
    }
  }

  [[nodiscard]] std::vector<CgroupValue> values_for(const CgroupName& name,
                                                    const ResourceLimits& limits) const {
    auto values = v1_values(limits, layers());
    if (mounts_.v1.contains("blkio")) {
      add_v1_io_removals(directory_of("blkio", tenant_path(name)), limits, values);
    }
    return values;
  }
  static std::unique_ptr<CgroupWriter> make_writer(const CgroupMounts& mounts) {
    std::vector<std::string> controllers;
    for (const auto& [controller, point] : mounts.v1) controllers.push_back(controller);
    return make_libcgroup_writer(std::move(controllers));
  }

  CgroupMounts mounts_;
  std::string root_;
  std::unique_ptr<CgroupWriter> writer_;
};

}  // namespace

std::unique_ptr<CgroupBackend> make_cgroup_v1(CgroupMounts mounts, std::string root,
                                              std::string& explanation) {
  if (const int code = cgroup_init(); code != 0) {
    explanation = std::string("libcgroup: ") + cgroup_strerror(code);
    return nullptr;
  }
  auto backend = std::make_unique<CgroupV1>(std::move(mounts), std::move(root));
  if (const auto prepared = backend->prepare(); !prepared) {
    explanation = prepared.error().message;
    backend->remove_root();
    return nullptr;
  }
  return backend;
}

}  // namespace tenantd
