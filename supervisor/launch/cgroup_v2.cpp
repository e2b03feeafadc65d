// cgroup v2 below a subtree that is ours.
//
// Runs in: the supervisor. Plain writes throughout: libcgroup 2.0.2 would enable controllers in
// every ancestor, the system's slices included, and fails altogether for a delegated user.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>

#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"

namespace tenantd {
namespace {

struct ControllerLayer {
  const char* controller;
  Layer layer;
};
constexpr std::array controller_layers = {
    ControllerLayer{"cpu", Layer::cgroup_cpu}, ControllerLayer{"memory", Layer::cgroup_memory},
    ControllerLayer{"pids", Layer::cgroup_pids}, ControllerLayer{"io", Layer::cgroup_io}};

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string one; words >> one;) {
    if (one == word) return true;
  }
  return false;
}

Status make_group(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return fail_errno("mkdir " + directory, errno);
}

class CgroupV2 final : public CgroupBackend {
 public:
  explicit CgroupV2(std::string root) : root_(std::move(root)) {}

  CgroupMode mode() const override { return CgroupMode::v2; }
  LayerSet layers() const override { return layers_; }

  // Enables what the subtree was given. `leave` is our own group: its processes move into a leaf
  // first, because a group with processes cannot give controllers to its children.
  Status prepare(bool leave) {
    if (auto made = make_group(root_); !made) return made;
    if (leave) {
      const std::string leaf = root_ + "/supervisor";
      if (auto made = make_group(leaf); !made) return made;
      auto moved = write_existing_file(leaf + "/cgroup.procs", "0");
      if (!moved) return moved;
    }
    const std::string offered = read_small_file(root_ + "/cgroup.controllers").value_or("");
    for (const auto& [controller, layer] : controller_layers) {
      if (!has_word(offered, controller)) continue;
      const auto enabled =
          write_existing_file(root_ + "/cgroup.subtree_control", std::string("+") + controller);
      if (enabled) layers_.add(layer);
    }
    if (auto made = make_group(root_ + "/tenants"); !made) return made;
    return enable_for_children(root_ + "/tenants");
  }

  Status create(const CgroupName& name, const ResourceLimits& limits) override {
    const std::string tenant = root_ + "/" + tenant_path(name);
    const bool fresh_tenant = has_no_children(tenant);
    auto made = make_group(tenant);
    if (made) made = write_values(tenant, v2_values(limits, layers_));
    // The children's controllers are enabled so that usage is also known by generation.
    if (made) made = enable_for_children(tenant);
    if (made) made = make_group(root_ + "/" + generation_path(name));
    if (made) return {};
    (void)remove_group(root_ + "/" + generation_path(name));
    if (fresh_tenant) (void)remove_group(tenant);
    return made;
  }

  Status attach(const CgroupName& name, pid_t pid) override {
    return write_existing_file(root_ + "/" + generation_path(name) + "/cgroup.procs",
                               std::to_string(pid));
  }

  Result<UniqueFd> directory(const CgroupName& name) override {
    const std::string path = root_ + "/" + generation_path(name);
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail_errno("open " + path, errno);
    return fd;
  }

  Status apply(const CgroupName& name, const ResourceLimits& limits) override {
    return write_values(root_ + "/" + tenant_path(name), v2_values(limits, layers_));
  }

  Result<CgroupUsage> usage(const CgroupName& name) override {
    const std::string group = root_ + "/" + tenant_path(name);
    CgroupUsage usage;
    usage.has_memory = layers_.has(Layer::cgroup_memory);
    usage.memory_bytes = read_cgroup_number(group + "/memory.current");
    usage.memory_peak_bytes = read_cgroup_number(group + "/memory.peak");  // since 5.19
    usage.memory_max_bytes = read_cgroup_number(group + "/memory.max");    // "max" reads as 0
    usage.oom_kills = read_cgroup_number(group + "/memory.events", "oom_kill");
    usage.cpu_us = read_cgroup_number(group + "/cpu.stat", "usage_usec");
    usage.throttled_us = read_cgroup_number(group + "/cpu.stat", "throttled_usec");
    usage.pids = read_cgroup_number(group + "/pids.current");
    return usage;
  }

  Status kill(const CgroupName& name) override {
    // Since 5.14; kills atomically, forks included.
    return write_existing_file(root_ + "/" + generation_path(name) + "/cgroup.kill", "1");
  }

  Status remove(const CgroupName& name) override {
    auto removed = remove_group(root_ + "/" + generation_path(name));
    if (!removed) return removed;
    if (has_no_children(root_ + "/" + tenant_path(name))) {
      return remove_group(root_ + "/" + tenant_path(name));
    }
    return {};
  }

  Result<std::vector<CgroupName>> list() override { return list_generations(root_); }
  Result<std::vector<pid_t>> processes(const CgroupName& name) override {
    return read_cgroup_processes(root_ + "/" + generation_path(name));
  }
  std::string root_directory() const override { return root_; }

  void remove_root() override {
    (void)remove_group(root_ + "/control");
    (void)remove_group(root_ + "/tenants");
  }

 private:
  Status enable_for_children(const std::string& directory) {
    for (const auto& [controller, layer] : controller_layers) {
      if (!layers_.has(layer)) continue;
      auto enabled =
          write_existing_file(directory + "/cgroup.subtree_control", std::string("+") + controller);
      if (!enabled) return enabled;
    }
    return {};
  }
  static Status write_values(const std::string& directory, const std::vector<CgroupValue>& values) {
    for (const CgroupValue& value : values) {
      auto written = write_existing_file(directory + "/" + value.file, value.value);
      if (!written) return written;
    }
    return {};
  }

  std::string root_;
  LayerSet layers_;
};

// Our own cgroup on the v2 hierarchy: the "0::" line.
std::string own_group() {
  const std::string text = read_small_file("/proc/self/cgroup").value_or("");
  const std::size_t start = text.starts_with("0::") ? 0 : text.find("\n0::");
  if (start == std::string::npos) return {};
  const std::size_t path = text.find("::", start) + 2;
  const std::string group = text.substr(path, text.find('\n', path) - path);
  if (group == "/") return {};
  return group;
}

}  // namespace

std::unique_ptr<CgroupBackend> make_cgroup_v2(CgroupMounts mounts, std::string root,
                                              std::string& explanation) {
  const bool own = root.empty();
  const std::string group = own ? own_group() : std::string("/").append(root);
  auto backend = std::make_unique<CgroupV2>(mounts.v2 + group);
  if (const auto prepared = backend->prepare(own); !prepared) {
    explanation = prepared.error().message;
    return nullptr;
  }
  return backend;
}

}  // namespace tenantd
