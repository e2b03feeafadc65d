// Placements on cgroup v2: values of the tenant's group where the subtree was given the
// controllers; and, for CPUs that are taken from the whole host, a subtree of the tenant's own
// right below the root, the only place where the kernel makes a partition:
//
//   <mount>/tenantd-<instance>-<tenant>                      the partition
//   <mount>/tenantd-<instance>-<tenant>/tenants/<tenant>/g<N>  as everywhere else
//
// Which of the two a tenant has is read from the file system: a later supervisor finds it there.
//
// Runs in: the supervisor. What is written is read back. Source: Documentation/admin-guide/
// cgroup-v2.rst, "Cpuset" and "memory.min".
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "shared/base/units.h"
#include "shared/os/process.h"
#include "supervisor/launch/cgroup_files.h"
#include "supervisor/launch/cgroup_forwarder.h"

namespace tenantd {
namespace {

std::string read_line(const std::string& path) {
  std::string text = read_small_file(path).value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// FNV-1a: tells instances apart in a name of fixed length.
std::string short_hash(const std::string& text) {
  std::uint32_t hash = 2166136261U;
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  std::array<char, 9> hex{};
  (void)std::snprintf(hex.data(), hex.size(), "%08x", hash);
  return hex.data();
}

Status write_memory_min(const std::string& directory, std::uint64_t bytes) {
  const std::string path = directory + "/memory.min";
  if (auto done = write_existing_file(path, std::to_string(bytes)); !done) return done;
  static constexpr std::uint64_t page_bytes = 4096;
  const std::uint64_t now = read_cgroup_number(path);
  if (now / page_bytes == bytes / page_bytes) return {};
  return fail(ErrorCode::unsupported,
              path + " was given " + std::to_string(bytes) + " and has " + std::to_string(now));
}

class CpusetV2 final : public CgroupForwarder {
 public:
  CpusetV2(std::unique_ptr<CgroupBackend> inner, std::string mount, CpusetPlan plan)
      : CgroupForwarder(std::move(inner)),
        mount_(std::move(mount)),
        base_(this->inner().root_directory()),
        prefix_("tenantd-" + short_hash(base_) + "-"),
        plan_(std::move(plan)) {}

  PlacementAbilities placement_abilities() const override {
    PlacementAbilities abilities{cpuset_, plan_.partition && no_partition_.empty(), no_partition_,
                                 ""};
    if (!layers().has(Layer::cgroup_memory)) {
      abilities.no_memory_guarantee = "the memory controller is not delegated: nothing guaranteed";
    }
    return abilities;
  }

  void prepare(std::string& explanation) {
    may_be_apart_ = plan_.partition || !apart_groups().empty();
    if (plan_.shared.empty()) return;
    std::string why;
    for (const char* part : {"", "/tenants", "/probes"}) {
      const auto enabled = write_existing_file(base_ + part + "/cgroup.subtree_control", "+cpuset");
      if (!enabled && why.empty()) why = enabled.error().describe();
    }
    cpuset_ = why.empty();
    if (!cpuset_) explanation = "dedicated CPUs by affinity alone: " + why;
    if (!plan_.partition) return;
    for (const char* controller : {"+cpu", "+memory", "+pids", "+io", "+cpuset"}) {
      const auto enabled = write_existing_file(mount_ + "/cgroup.subtree_control", controller);
      // Of the others a partition has what the other tenants have: place() looks.
      if (!enabled && controller == std::string_view("+cpuset")) {
        no_partition_ = enabled.error().describe();
      }
    }
  }

  Status place(const CgroupName& name, const GroupPlacement& placement) override {
    if (placement.partition && name.tenant && !name.probe) return place_apart(name, placement);
    if (name.tenant && !name.probe && is_apart(*name.tenant)) {
      remove_apart(*name.tenant);  // from before its file or tenantd.toml changed
      if (is_apart(*name.tenant)) {
        return fail(ErrorCode::unavailable, "the partition that it had is still in use");
      }
    }
    const std::string group = base_ + "/" + tenant_path(name);
    const CpuSet& cpus = placement.cpus.empty() ? plan_.shared : placement.cpus;
    if (!cpuset_ && placement.memory_min_bytes == 0) return {};
    if (auto made = make_group_directory(group); !made) return made;
    if (cpuset_) {
      if (auto set = write_cpuset(group, cpus, placement.nodes); !set) return set;
    }
    return protect(group, placement.memory_min_bytes);
  }

  Status create(const CgroupName& name, const ResourceLimits& limits) override {
    CgroupBackend& backend = of(name);
    if (auto made = backend.create(name, limits); !made) return made;
    // Without memory_recursiveprot a group's protection does not reach the groups in it.
    const std::string tenant = backend.root_directory() + "/" + tenant_path(name);
    const std::uint64_t bytes = read_cgroup_number(tenant + "/memory.min");
    if (bytes == 0) return {};
    return write_memory_min(tenant + "/g" + std::to_string(name.generation), bytes);
  }

  Status remove(const CgroupName& name) override {
    const bool apart = name.tenant && !name.probe && is_apart(*name.tenant);
    auto removed = of(name).remove(name);
    if (removed && apart && has_no_children(apart_directory(*name.tenant) + "/tenants")) {
      remove_apart(*name.tenant);
    }
    return removed;
  }

  Result<std::vector<CgroupName>> list() override {
    auto names = inner().list();
    for (const std::string& group : names ? apart_groups() : std::vector<std::string>{}) {
      const auto apart = list_generations(mount_ + "/" + group);
      names->insert(names->end(), apart.begin(), apart.end());
    }
    return names;
  }

  void remove_root() override {
    inner().remove_root();
    for (const std::string& group : apart_groups()) remove_empty_groups(mount_ + "/" + group);
    apart_.clear();
  }

 protected:
  CgroupBackend& of(const CgroupName& name) override {
    if (!name.tenant || name.probe || !is_apart(*name.tenant)) return inner();
    const auto found = apart_.find(*name.tenant);
    if (found != apart_.end()) return *found->second;
    std::string ignored;
    auto backend = open_apart(*name.tenant, ignored);
    if (!backend) return inner();
    return *apart_.emplace(*name.tenant, std::move(backend)).first->second;
  }

 private:
  [[nodiscard]] std::string apart_directory(const TenantId& tenant) const {
    return mount_ + "/" + prefix_ + tenant.str();
  }
  [[nodiscard]] bool is_apart(const TenantId& tenant) const {
    return may_be_apart_ && ::access(apart_directory(tenant).c_str(), F_OK) == 0;
  }
  [[nodiscard]] std::vector<std::string> apart_groups() const {
    std::vector<std::string> groups = list_subdirectories(mount_);
    std::erase_if(groups, [this](const std::string& name) { return !name.starts_with(prefix_); });
    return groups;
  }
  void remove_apart(const TenantId& tenant) {
    apart_.erase(tenant);
    remove_empty_groups(apart_directory(tenant));
  }
  [[nodiscard]] std::unique_ptr<CgroupBackend> open_apart(const TenantId& tenant,
                                                          std::string& explanation) const {
    CgroupMounts mounts;
    mounts.v2 = mount_;
    return make_cgroup_v2(std::move(mounts), prefix_ + tenant.str(), explanation);
  }

  Status place_apart(const CgroupName& name, const GroupPlacement& placement) {
    if (!no_partition_.empty()) return fail(ErrorCode::unsupported, no_partition_);
    const std::string group = apart_directory(*name.tenant);
    if (auto made = make_group_directory(group); !made) return made;
    Status done = make_partition(group, placement);
    std::string why;
    if (done && !apart_.contains(*name.tenant)) {
      auto backend = open_apart(*name.tenant, why);
      if (backend && !layers().without(backend->layers()).empty()) {
        why = "it has fewer controllers than the other tenants' groups";
        backend.reset();
      }
      if (backend) {
        apart_.emplace(*name.tenant, std::move(backend));
      } else {
        done = fail(ErrorCode::unsupported, "the partition's group cannot be used: " + why);
      }
    }
    const std::string tenant = group + "/" + tenant_path(name);
    if (done) done = make_group_directory(tenant);
    for (const std::string& one : {group, group + "/tenants", tenant}) {
      if (done && (placement.memory_min_bytes != 0 || read_cgroup_number(one + "/memory.min") != 0))
        done = write_memory_min(one, placement.memory_min_bytes);
    }
    if (!done) remove_apart(*name.tenant);
    return done;
  }

  static Status make_partition(const std::string& group, const GroupPlacement& placement) {
    const std::string state = group + "/cpuset.cpus.partition";
    if (read_line(state) == "root" && read_line(group + "/cpuset.cpus") == placement.cpus.str()) {
      return {};  // an earlier generation's
    }
    if (!placement.nodes.empty()) {
      auto set = write_existing_file(group + "/cpuset.mems", placement.nodes.str());
      if (!set) return set;
    }
    if (auto set = write_existing_file(group + "/cpuset.cpus", placement.cpus.str()); !set) {
      return set;
    }
    // Holds the controller: a service manager that takes it back from the root's children cannot.
    if (auto held = write_existing_file(group + "/cgroup.subtree_control", "+cpuset"); !held) {
      return held;
    }
    const Status asked = write_existing_file(state, "root");
    const std::string answer = read_line(state);
    if (asked && answer == "root") return {};
    return fail(ErrorCode::unsupported,
                "the kernel makes no partition of CPUs " + placement.cpus.str() + ": " +
                    (asked ? answer : asked.error().describe()),
                "[physical] partition = false keeps only tenantd's processes off them");
  }

  static Status write_cpuset(const std::string& group, const CpuSet& cpus, const CpuSet& nodes) {
    auto set = write_existing_file(group + "/cpuset.mems", nodes.empty() ? "\n" : nodes.str());
    if (set) set = write_existing_file(group + "/cpuset.cpus", cpus.str());
    if (!set) return set;
    const std::string effective = read_line(group + "/cpuset.cpus.effective");
    if (effective == cpus.str()) return {};
    return fail(ErrorCode::unsupported,
                "asked for CPUs " + cpus.str() + ", the kernel gives its group " + effective);
  }

  // A group's protection is bounded by that of the groups above it. Those up to the subtree's root
  // are ours; of the others each must have enough already.
  Status protect(const std::string& group, std::uint64_t bytes) {
    const bool was_protected = read_cgroup_number(group + "/memory.min") != 0;
    if (bytes == 0 && !was_protected) return {};
    if (auto set = write_memory_min(group, bytes); !set) return set;
    std::uint64_t sum = 0;
    for (const std::string& tenant : list_subdirectories(base_ + "/tenants")) {
      sum += read_cgroup_number(base_ + "/tenants/" + tenant + "/memory.min");
    }
    for (const std::string& own : {base_ + "/tenants", base_}) {
      if (auto set = write_memory_min(own, sum); !set) return set;
    }
    for (std::size_t end = base_.rfind('/'); end != std::string::npos && end > mount_.size();
         end = base_.rfind('/', end - 1)) {
      const std::string above = base_.substr(0, end);
      const std::string line = read_line(above + "/memory.min");
      if (line == "max" || read_cgroup_number(above + "/memory.min") >= sum) continue;
      (void)write_memory_min(group, 0);
      const std::string name = above.substr(above.rfind('/') + 1);
      return fail(ErrorCode::unsupported,
                  "guaranteed memory needs " + format_size(sum) + " in all, and " + name +
                      ", which "
                      "is above tenantd's groups, has a memory.min of " +
                      format_size(read_cgroup_number(above + "/memory.min")),
                  "systemctl set-property " + name + " MemoryMin=" + format_size(sum) +
                      ", or guaranteed_memory = \"0M\"");
    }
    return {};
  }

  std::string mount_;
  std::string base_;    // of the other tenants' groups
  std::string prefix_;  // of partitions' names
  CpusetPlan plan_;
  bool cpuset_ = false;
  bool may_be_apart_ = false;
  std::string no_partition_;
  std::map<TenantId, std::unique_ptr<CgroupBackend>> apart_;
};

}  // namespace

std::unique_ptr<CgroupBackend> add_cpusets_v2(std::unique_ptr<CgroupBackend> inner,
                                              const std::string& mount, const CpusetPlan& plan,
                                              std::string& explanation) {
  auto backend = std::make_unique<CpusetV2>(std::move(inner), mount, plan);
  backend->prepare(explanation);
  return backend;
}

}  // namespace tenantd
