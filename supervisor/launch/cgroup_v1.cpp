// cgroup v1 and hybrid through libcgroup: one hierarchy a controller, needs root.
//
// Runs in: the supervisor. libcgroup's traps, each avoided here: a failed create leaves directories
// behind (removed by us); get-then-modify rewrites every value (fresh structs only); its delete
// moves live tasks to the parent, where they escape the limit (plain rmdir instead); names are
// never taken unchecked.
#include <libcgroup.h>
#include <signal.h>

#include <array>
#include <cerrno>

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
    ControllerLayer{"pids", Layer::cgroup_pids}, ControllerLayer{"blkio", Layer::cgroup_io}};

struct FreeCgroup {
  void operator()(cgroup* group) const noexcept { cgroup_free(&group); }
};
using CgroupPointer = std::unique_ptr<cgroup, FreeCgroup>;

Status fail_libcgroup(const std::string& what, int code) {
  const int saved_errno = code == ECGOTHER ? cgroup_get_last_errno() : 0;
  auto error = fail(ErrorCode::internal, what + ": " + cgroup_strerror(code));
  error.value().os_errno = saved_errno;
  if (saved_errno == EBUSY) error.value().code = ErrorCode::resource_exhausted;
  return error;
}

class CgroupV1 final : public CgroupBackend {
 public:
  CgroupV1(CgroupMounts mounts, std::string root)
      : mounts_(std::move(mounts)), root_(std::move(root)) {}

  CgroupMode mode() const override { return mounts_.mode(); }
  LayerSet layers() const override {
    LayerSet layers;
    for (const auto& [controller, layer] : controller_layers) {
      if (mounts_.v1.contains(controller)) layers.add(layer);
    }
    return layers;
  }

  Status create(const CgroupName& name, const ResourceLimits& limits) override {
    const bool fresh_tenant = list_of_tenant_is_empty(name);
    auto made = make(root_ + "/" + tenant_path(name), v1_values(limits, layers()));
    if (made) made = make(root_ + "/" + generation_path(name), {});
    if (made) return {};
    remove_everywhere(generation_path(name));
    if (fresh_tenant) remove_everywhere(tenant_path(name));
    return made;
  }

  Status attach(const CgroupName& name, pid_t pid) override {
    // libcgroup moves one thread only: the process has no other before its exec.
    const CgroupPointer group = fresh(root_ + "/" + generation_path(name), mounts_.v1);
    if (!group) return fail(ErrorCode::internal, "libcgroup: out of memory");
    const int code = cgroup_attach_task_pid(group.get(), pid);
    return code == 0 ? Status{} : fail_libcgroup("attach to cgroup", code);
  }

  Result<UniqueFd> directory(const CgroupName& /*name*/) override {
    return fail(ErrorCode::unsupported, "cgroup v1 has no CLONE_INTO_CGROUP");
  }

  Status apply(const CgroupName& name, const ResourceLimits& limits) override {
    const CgroupPointer group(cgroup_new_cgroup((root_ + "/" + tenant_path(name)).c_str()));
    if (!group) return fail(ErrorCode::internal, "libcgroup: out of memory");
    if (auto added = add_values(group.get(), v1_values(limits, layers())); !added) return added;
    const int code = cgroup_modify_cgroup(group.get());
    return code == 0 ? Status{} : fail_libcgroup("change limits of cgroup", code);
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
    }
    if (const std::string pids = directory_of("pids", tenant_path(name)); !pids.empty()) {
      usage.pids = read_cgroup_number(pids + "/pids.current");
    }
    return usage;
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
    remove_everywhere("tenants");
    remove_everywhere("control");
    remove_everywhere("");
  }

  // The groups that hold all others.
  Status prepare() {
    auto made = make(root_, {});
    if (made) made = make(root_ + "/tenants", {});
    return made;
  }

 private:
  // The hierarchy that is asked about processes: all hold the same.
  [[nodiscard]] std::string leader() const {
    return mounts_.v1.contains("memory") ? "memory" : mounts_.v1.begin()->first;
  }
  [[nodiscard]] std::string directory_of(const std::string& controller,
                                         const std::string& path) const {
    const auto found = mounts_.v1.find(controller);
    if (found == mounts_.v1.end()) return {};
    return found->second + "/" + root_ + (path.empty() ? "" : "/" + path);
  }
  [[nodiscard]] bool list_of_tenant_is_empty(const CgroupName& name) const {
    return has_no_children(directory_of(leader(), tenant_path(name)));
  }
  void remove_everywhere(const std::string& path) {
    for (const auto& [controller, point] : mounts_.v1) {
      (void)remove_group(directory_of(controller, path));  // best effort: shown by list()
    }
  }

  static CgroupPointer fresh(const std::string& path,
                             const std::map<std::string, std::string>& controllers) {
    CgroupPointer group(cgroup_new_cgroup(path.c_str()));
    if (!group) return nullptr;
    for (const auto& [controller, point] : controllers) {
      if (cgroup_add_controller(group.get(), controller.c_str()) == nullptr) return nullptr;
    }
    return group;
  }

  static Status add_values(cgroup* group, const std::vector<CgroupValue>& values) {
    for (const CgroupValue& value : values) {
      cgroup_controller* controller = cgroup_get_controller(group, value.controller.c_str());
      if (controller == nullptr) {
        controller = cgroup_add_controller(group, value.controller.c_str());
      }
      if (controller == nullptr) return fail(ErrorCode::internal, "libcgroup: out of memory");
      const int code = cgroup_add_value_string(controller, value.file.c_str(), value.value.c_str());
      if (code != 0) return fail_libcgroup("libcgroup value " + value.file, code);
    }
    return {};
  }

  Status make(const std::string& path, const std::vector<CgroupValue>& values) {
    const CgroupPointer group = fresh(path, mounts_.v1);
    if (!group) return fail(ErrorCode::internal, "libcgroup: out of memory");
    if (auto added = add_values(group.get(), values); !added) return added;
    const int code = cgroup_create_cgroup(group.get(), 1);
    return code == 0 ? Status{} : fail_libcgroup("create cgroup " + path, code);
  }

  CgroupMounts mounts_;
  std::string root_;
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
