// cgroup v2 below a subtree that is ours.
//
// Runs in: the supervisor. Groups and values go through libcgroup where that changes nothing but
// our subtree, else through plain writes; both are checked to have the same effects. Source:
// Documentation/admin-guide/cgroup-v2.rst.
#include <fcntl.h>
#include <libcgroup.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"
#include "supervisor/launch/cgroup_writer.h"

namespace tenantd {
namespace {

constexpr std::array v2_controllers = {
    ControllerLayer{"cpu", Layer::cgroup_cpu}, ControllerLayer{"memory", Layer::cgroup_memory},
    ControllerLayer{"pids", Layer::cgroup_pids}, ControllerLayer{"io", Layer::cgroup_io}};

// Weights matter only where something schedules by them: io.cost on some device, or BFQ.
bool host_weighs_io(const std::string& mount) {
  const std::string cost = read_small_file(mount + "/io.cost.qos").value_or("");
  if (cost.find("enable=1") != std::string::npos) return true;
  std::error_code error;
  for (const auto& device : std::filesystem::directory_iterator("/sys/block", error)) {
    const std::string scheduler = device.path().string() + "/queue/scheduler";
    if (read_small_file(scheduler).value_or("").find("[bfq]") != std::string::npos) return true;
  }
  return false;
}

class CgroupV2 final : public CgroupBackend {
 public:
  CgroupV2(std::string mount, std::string root)
      : mount_(std::move(mount)), root_(std::move(root)), base_(mount_ + "/" + root_) {}

  CgroupMode mode() const override { return CgroupMode::v2; }
  LayerSet layers() const override { return layers_; }
  CgroupAbilities abilities() const override {
    return {writer_->name(), layers_.has(Layer::cgroup_memory), io_weights_};
  }

  // Enables what the subtree was given. `leave` is our own group: its processes move into a leaf
  // first, because a group with processes cannot give controllers to its children.
  Status prepare(bool leave) {
    if (auto made = make_group_directory(base_); !made) return made;
    if (leave) {
      const std::string leaf = base_ + "/supervisor";
      if (auto made = make_group_directory(leaf); !made) return made;
      auto moved = write_existing_file(leaf + "/cgroup.procs", "0");
      if (!moved) return moved;
    }
    const std::string offered = read_small_file(base_ + "/cgroup.controllers").value_or("");
    std::vector<std::string> controllers;
    for (const auto& [controller, layer] : v2_controllers) {
      if (!has_word(offered, controller)) continue;
      const auto enabled =
          write_existing_file(base_ + "/cgroup.subtree_control", std::string("+") + controller);
      if (!enabled) continue;
      layers_.add(layer);
      controllers.emplace_back(controller);
    }
    choose_writer(controllers);
    io_weights_ = layers_.has(Layer::cgroup_io) && host_weighs_io(mount_);
    for (const char* parent : {"/tenants", "/probes"}) {
      if (auto made = make_group_directory(base_ + parent); !made) return made;
      if (auto enabled = enable_for_children(base_ + parent); !enabled) return enabled;
    }
    return {};
  }

  Status create(const CgroupName& name, const ResourceLimits& limits) override {
    const std::string tenant = base_ + "/" + tenant_path(name);
    const bool fresh_tenant = has_no_children(tenant);
    Status made = fresh_tenant ? Status{} : make_room(name, limits);
    if (made) made = writer_->make_group(root_ + "/" + tenant_path(name), {});
    if (made) made = write_limits(name, limits);
    // So that usage is also known by generation. Not the CPU: cpu.stat tells the time without it,
    // and a nested group costs a process that sleeps and wakes another queue to leave and enter.
    if (made) made = enable_for_children(tenant, Layer::cgroup_cpu);
    if (made) made = writer_->make_group(root_ + "/" + generation_path(name), {});
    if (made) return {};
    (void)remove_group(base_ + "/" + generation_path(name));
    if (fresh_tenant) (void)remove_group(tenant);
    return made;
  }

  Status attach(const CgroupName& name, pid_t pid) override {
    return write_existing_file(base_ + "/" + generation_path(name) + "/cgroup.procs",
                               std::to_string(pid));
  }

  Result<std::vector<UniqueFd>> entrances(const CgroupName& /*name*/) override {
    return fail(ErrorCode::unsupported, "a process is cloned into its group on cgroup v2");
  }

  Result<UniqueFd> directory(const CgroupName& name) override {
    const std::string path = base_ + "/" + generation_path(name);
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail_errno("open " + path, errno);
    return fd;
  }

  Status apply(const CgroupName& name, const ResourceLimits& limits) override {
    if (auto room = make_room(name, limits); !room) return room;
    return write_limits(name, limits);
  }

  Result<CgroupUsage> usage(const CgroupName& name) override {
    const std::string group = base_ + "/" + tenant_path(name);
    CgroupUsage usage;
    usage.has_memory = layers_.has(Layer::cgroup_memory);
    usage.memory_bytes = read_cgroup_number(group + "/memory.current");
    usage.memory_peak_bytes = read_cgroup_number(group + "/memory.peak");  // since 5.19
    usage.memory_max_bytes = read_cgroup_number(group + "/memory.max");    // "max" reads as 0
    usage.oom_kills = read_cgroup_number(group + "/memory.events", "oom_kill");
    usage.memory_high_events = read_cgroup_number(group + "/memory.events", "high");
    usage.memory_pressure = read_cgroup_pressure(group + "/memory.pressure");
    usage.cpu_us = read_cgroup_number(group + "/cpu.stat", "usage_usec");
    usage.throttled_us = read_cgroup_number(group + "/cpu.stat", "throttled_usec");
    usage.throttled_periods = read_cgroup_number(group + "/cpu.stat", "nr_throttled");
    usage.periods = read_cgroup_number(group + "/cpu.stat", "nr_periods");
    usage.cpu_pressure = read_cgroup_pressure(group + "/cpu.pressure");
    usage.pids = read_cgroup_number(group + "/pids.current");
    return usage;
  }

  std::vector<CgroupSetting> settings(const CgroupName& name,
                                      const ResourceLimits& limits) override {
    std::vector<CgroupSetting> settings;
    for (const CgroupValue& value : v2_values(limits, layers_)) {
      settings.push_back(read_setting(base_ + "/" + tenant_path(name), value));
    }
    return settings;
  }

  Status kill(const CgroupName& name) override {
    // Since 5.14; kills atomically, forks included.
    return write_existing_file(base_ + "/" + generation_path(name) + "/cgroup.kill", "1");
  }

  Status remove(const CgroupName& name) override {
    auto removed = remove_group(base_ + "/" + generation_path(name));
    if (!removed) return removed;
    if (has_no_children(base_ + "/" + tenant_path(name))) {
      return remove_group(base_ + "/" + tenant_path(name));
    }
    return {};
  }

  Result<std::vector<CgroupName>> list() override { return list_generations(base_); }
  Result<std::vector<pid_t>> processes(const CgroupName& name) override {
    return read_cgroup_processes(base_ + "/" + generation_path(name));
  }
  std::string root_directory() const override { return base_; }

  void remove_root() override {
    for (const char* part : {"/tenants", "/probes", "/control"}) remove_empty_groups(base_ + part);
    // A root that was there before us has other children or is not ours to remove; an empty one of
    // our own making goes.
    if (made_root_) (void)remove_group(base_);
  }

  void remember_made_root() noexcept { made_root_ = true; }

 private:
  void choose_writer(const std::vector<std::string>& controllers) {
    std::string why =
        controllers.empty() ? "no controllers" : libcgroup_obstacle(mount_, root_, controllers);
    if (why.empty()) {
      if (const int code = cgroup_init(); code != 0) why = cgroup_strerror(code);
    }
    writer_ = why.empty() ? make_libcgroup_writer(controllers) : make_direct_writer(mount_, why);
  }

  Status enable_for_children(const std::string& directory,
                             std::optional<Layer> without = std::nullopt) {
    for (const auto& [controller, layer] : v2_controllers) {
      if (!layers_.has(layer) || layer == without) continue;
      auto enabled =
          write_existing_file(directory + "/cgroup.subtree_control", std::string("+") + controller);
      if (!enabled) return enabled;
    }
    return {};
  }

  Status write_limits(const CgroupName& name, const ResourceLimits& limits) {
    const std::string group = base_ + "/" + tenant_path(name);
    auto values = v2_values(limits, layers_);
    if (layers_.has(Layer::cgroup_io)) {
      add_v2_io_removals(group, limits, values);
      add_v2_io_weight(group, limits, values);
    }
    return writer_->write_values(root_ + "/" + tenant_path(name), values);
  }

  // A memory.max below what is used would kill at once. memory.high is lowered first: its write
  // reclaims what can be reclaimed, and slows the tenant's growth until memory.max is written.
  Status make_room(const CgroupName& name, const ResourceLimits& limits) {
    if (!layers_.has(Layer::cgroup_memory) || limits.memory_max_bytes == 0) return {};
    const std::string group = base_ + "/" + tenant_path(name);
    const std::uint64_t wanted = limits.memory_max_bytes;
    if (read_cgroup_number(group + "/memory.current") <= wanted / 2) return {};
    const std::uint64_t old_max = read_cgroup_number(group + "/memory.max");
    if (old_max != 0 && old_max <= wanted) return {};
    const std::string old_high = read_small_file(group + "/memory.high").value_or("max");
    auto lowered = write_existing_file(group + "/memory.high", std::to_string(wanted));
    if (!lowered) return lowered;
    const std::uint64_t used = read_cgroup_number(group + "/memory.current");
    if (used <= wanted) return {};
    (void)write_existing_file(group + "/memory.high", old_high);  // as it was; the error is told
    return fail_memory_in_use(wanted, used);
  }

  std::string mount_;
  std::string root_;  // relative to the mount point
  std::string base_;  // both
  LayerSet layers_;
  std::unique_ptr<CgroupWriter> writer_;
  bool io_weights_ = false;
  bool made_root_ = false;
};

// Our own cgroup on the v2 hierarchy: the "0::" line, without the leading slash.
std::string own_group() {
  const std::string text = read_small_file("/proc/self/cgroup").value_or("");
  const std::size_t start = text.starts_with("0::") ? 0 : text.find("\n0::");
  if (start == std::string::npos) return {};
  const std::size_t path = text.find("::", start) + 3;
  return text.substr(path, text.find('\n', path) - path);
}

}  // namespace

std::unique_ptr<CgroupBackend> make_cgroup_v2(CgroupMounts mounts, std::string root,
                                              std::string& explanation) {
  const bool own = root.empty();
  const std::string group = own ? own_group() : std::move(root);
  struct stat info {};
  const bool existed = ::stat((mounts.v2 + "/" + group).c_str(), &info) == 0;
  auto backend = std::make_unique<CgroupV2>(mounts.v2, group);
  if (!existed) backend->remember_made_root();
  if (const auto prepared = backend->prepare(own); !prepared) {
    explanation = prepared.error().message;
    backend->remove_root();
    return nullptr;
  }
  return backend;
}

}  // namespace tenantd
