#include "supervisor/launch/cgroup.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "supervisor/launch/cgroup_files.h"

namespace tenantd {
namespace {

// A host without cgroups: everything is refused, nothing has ever existed.
class NoCgroups final : public CgroupBackend {
 public:
  CgroupMode mode() const override { return CgroupMode::none; }
  LayerSet layers() const override { return {}; }
  CgroupAbilities abilities() const override { return {}; }
  Status create(const CgroupName&, const ResourceLimits&) override { return refuse(); }
  Status attach(const CgroupName&, pid_t) override { return refuse(); }
  Result<std::vector<UniqueFd>> entrances(const CgroupName&) override {
    return tl::unexpected(refuse().error());
  }
  Result<UniqueFd> directory(const CgroupName&) override {
    return tl::unexpected(refuse().error());
  }
  Status apply(const CgroupName&, const ResourceLimits&) override { return refuse(); }
  Result<CgroupUsage> usage(const CgroupName&) override { return CgroupUsage{}; }
  std::vector<CgroupSetting> settings(const CgroupName&, const ResourceLimits&) override {
    return {};
  }
  Status kill(const CgroupName&) override { return refuse(); }
  Status remove(const CgroupName&) override { return {}; }
  Result<std::vector<CgroupName>> list() override { return std::vector<CgroupName>{}; }
  Result<std::vector<pid_t>> processes(const CgroupName&) override { return std::vector<pid_t>{}; }
  std::string root_directory() const override { return {}; }
  void remove_root() override {}

 private:
  static Status refuse() {
    return fail(ErrorCode::layer_missing, "no usable cgroups on this host");
  }
};

// Relative, of plain components: never a way out of the hierarchy.
bool is_plain_root(const std::string& root) {
  if (root.empty() || root.front() == '/' || root.back() == '/') return false;
  for (std::size_t start = 0; start <= root.size();) {
    const std::size_t end = std::min(root.find('/', start), root.size());
    const std::string component = root.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") return false;
    start = end + 1;
  }
  return true;
}

std::string missing_controllers(LayerSet layers) {
  std::string text;
  for (const Layer layer : {Layer::cgroup_cpu, Layer::cgroup_memory, Layer::cgroup_pids}) {
    if (layers.has(layer)) continue;
    text += (text.empty() ? "" : ", ");
    text += layer_names[static_cast<std::size_t>(layer)];
  }
  return text.empty() ? text : "controllers not available here: " + text;
}

}  // namespace

std::unique_ptr<CgroupBackend> make_cgroup_backend(const std::string& root,
                                                   std::string& explanation) {
  explanation.clear();
  auto mounts = read_cgroup_mounts();
  const CgroupMode mode = mounts ? mounts->mode() : CgroupMode::none;
  std::unique_ptr<CgroupBackend> backend;
  if (mode == CgroupMode::none) {
    explanation = "no cgroup hierarchy is mounted";
  } else if (!root.empty() && !is_plain_root(root)) {
    explanation = "the cgroup root '" + root + "' is not a plain relative path";
  } else if (mode == CgroupMode::v2) {
    backend = make_cgroup_v2(std::move(*mounts), root, explanation);
  } else if (::geteuid() != 0) {
    explanation = "cgroup v1 cannot be used by an unprivileged user";
  } else {
    backend = make_cgroup_v1(std::move(*mounts), root.empty() ? "tenantd" : root, explanation);
  }
  if (!backend) return std::make_unique<NoCgroups>();
  explanation = missing_controllers(backend->layers());
  return backend;
}

std::unique_ptr<CgroupBackend> add_cpusets(std::unique_ptr<CgroupBackend> backend,
                                           const CpusetPlan& plan, std::string& explanation) {
  explanation.clear();
  const auto mounts = read_cgroup_mounts();
  if (backend->mode() == CgroupMode::none || !mounts) {
    if (!plan.shared.empty()) explanation = "no control groups: dedicated CPUs by affinity alone";
    return backend;
  }
  if (backend->mode() == CgroupMode::v2) {
    return add_cpusets_v2(std::move(backend), mounts->v2, plan, explanation);
  }
  // What all hierarchies have in common: the path below the leader's mount point.
  const std::string directory = backend->root_directory();
  std::string root;
  for (const auto& [controller, point] : mounts->v1) {
    if (directory.starts_with(point + "/")) root = directory.substr(point.size() + 1);
  }
  return add_cpusets_v1(std::move(backend), mounts->cpuset, root, plan, explanation);
}

std::string describe_cgroups(const CgroupBackend& backend) {
  static constexpr std::array<const char*, 4> names = {"none", "v1", "hybrid", "v2"};
  const std::string text =
      std::string("cgroups: ") + names[static_cast<std::size_t>(backend.mode())];
  const std::string by = backend.abilities().written_by;
  return by.empty() ? text : text + " (" + by + ")";
}

}  // namespace tenantd
