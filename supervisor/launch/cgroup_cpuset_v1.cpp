// Placements on cgroup v1: a hierarchy of its own beside those that limit.
//
// Runs in: the supervisor. A v1 cpuset takes no process before it has CPUs and nodes (ENOSPC), and
// gives a child none that it lacks itself: every group here is filled as it is made. Source:
// Documentation/admin-guide/cgroup-v1/cpusets.rst.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"
#include "supervisor/launch/cgroup_forwarder.h"

namespace tenantd {
namespace {

constexpr const char* no_v1_guarantee =
    "this host's kernel interface (cgroup v1) cannot guarantee memory";
constexpr const char* no_v1_partition =
    "this host's kernel interface (cgroup v1) cannot take CPUs from the whole host";

CpuSet read_set(const std::string& path) {
  const auto set = CpuSet::parse(read_small_file(path).value_or(""));
  return set ? *set : CpuSet{};
}

class CpusetV1 final : public CgroupForwarder {
 public:
  // An empty `mount`: the host has no such hierarchy.
  CpusetV1(std::unique_ptr<CgroupBackend> inner, const std::string& mount, const std::string& root,
           CpusetPlan plan)
      : CgroupForwarder(std::move(inner)), mount_(mount), root_(root), plan_(std::move(plan)) {}

  PlacementAbilities placement_abilities() const override {
    return {in_use_ && !plan_.shared.empty(), false, no_v1_partition, no_v1_guarantee};
  }

  // The groups that hold all others have all that the host gives us.
  Status prepare() {
    const bool left_over = !mount_.empty() && ::access(base().c_str(), F_OK) == 0;
    if (mount_.empty() || (plan_.shared.empty() && !left_over)) return {};
    in_use_ = true;
    const CpuSet cpus = read_set(mount_ + "/cpuset.cpus");
    nodes_ = read_set(mount_ + "/cpuset.mems");
    for (std::size_t end = root_.find('/'); end != std::string::npos;
         end = root_.find('/', end + 1)) {
      if (auto made = fill(mount_ + "/" + root_.substr(0, end), cpus, nodes_); !made) return made;
    }
    for (const char* part : {"", "/tenants", "/probes"}) {
      if (auto made = fill(base() + part, cpus, nodes_); !made) return made;
    }
    return {};
  }

  // Goes on without the hierarchy.
  void give_up() {
    remove_empty_groups(base());
    in_use_ = false;
  }

  Status place(const CgroupName& name, const GroupPlacement& placement) override {
    if (placement.memory_min_bytes != 0) return fail(ErrorCode::unsupported, no_v1_guarantee);
    if (placement.partition) return fail(ErrorCode::unsupported, no_v1_partition);
    if (!in_use_) return {};
    const CpuSet all = read_set(base() + "/cpuset.cpus");
    const CpuSet shared = plan_.shared.empty() ? all : plan_.shared;
    const CpuSet& cpus = placement.cpus.empty() ? shared : placement.cpus;
    const CpuSet& nodes = placement.nodes.empty() ? nodes_ : placement.nodes;
    const std::string tenant = base() + "/" + tenant_path(name);
    // A group does not give up what a group in it has.
    for (const std::string& child : list_subdirectories(tenant)) {
      (void)fill(tenant + "/" + child, cpus, nodes);
    }
    if (auto made = fill(tenant, cpus, nodes); !made) return made;
    return fill(base() + "/" + generation_path(name), cpus, nodes);
  }

  Status attach(const CgroupName& name, pid_t pid) override {
    if (auto moved = inner().attach(name, pid); !moved || !has_group(name)) return moved;
    return write_existing_file(base() + "/" + generation_path(name) + "/cgroup.procs",
                               std::to_string(pid));
  }

  // First: the CPU's stays the last.
  Result<std::vector<UniqueFd>> entrances(const CgroupName& name) override {
    auto files = inner().entrances(name);
    if (!files || !has_group(name)) return files;
    const std::string path = base() + "/" + generation_path(name) + "/tasks";
    UniqueFd own(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!own) return fail_errno("open " + path, errno);
    files->insert(files->begin(), std::move(own));
    return files;
  }

  Status remove(const CgroupName& name) override {
    auto removed = inner().remove(name);
    if (!removed || !in_use_) return removed;
    if (auto own = remove_group(base() + "/" + generation_path(name)); !own) return own;
    const std::string tenant = base() + "/" + tenant_path(name);
    return has_no_children(tenant) ? remove_group(tenant) : Status{};
  }

  void remove_root() override {
    inner().remove_root();
    if (in_use_) remove_empty_groups(base());
  }

 private:
  [[nodiscard]] std::string base() const { return mount_ + "/" + root_; }
  [[nodiscard]] bool has_group(const CgroupName& name) const {
    return in_use_ && ::access((base() + "/" + generation_path(name)).c_str(), F_OK) == 0;
  }

  static Status fill(const std::string& directory, const CpuSet& cpus, const CpuSet& nodes) {
    if (auto made = make_group_directory(directory); !made) return made;
    if (auto done = write_existing_file(directory + "/cpuset.mems", nodes.str()); !done) {
      return done;
    }
    if (auto done = write_existing_file(directory + "/cpuset.cpus", cpus.str()); !done) {
      return done;
    }
    const CpuSet now = read_set(directory + "/cpuset.cpus");
    if (now == cpus) return {};
    return fail(ErrorCode::unsupported, directory + " was given CPUs " + cpus.str() + " and has " +
                                            (now.empty() ? "none" : now.str()));
  }

  std::string mount_;
  std::string root_;
  CpusetPlan plan_;
  CpuSet nodes_;
  bool in_use_ = false;
};

}  // namespace

std::unique_ptr<CgroupBackend> add_cpusets_v1(std::unique_ptr<CgroupBackend> inner,
                                              const std::string& cpuset_mount,
                                              const std::string& root, const CpusetPlan& plan,
                                              std::string& explanation) {
  auto backend = std::make_unique<CpusetV1>(std::move(inner), cpuset_mount, root, plan);
  if (const Status prepared = backend->prepare(); !prepared) {
    explanation = "dedicated CPUs by affinity alone: " + prepared.error().describe();
    backend->give_up();
    return backend;
  }
  if (cpuset_mount.empty() && !plan.shared.empty()) {
    explanation = "dedicated CPUs by affinity alone: no cpuset hierarchy is mounted";
  }
  return backend;
}

}  // namespace tenantd
