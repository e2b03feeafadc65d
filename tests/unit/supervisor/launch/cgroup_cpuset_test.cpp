// Placements on fake trees of files: what is written where, and what is made of the kernel's
// answers. The kernel itself is asked by tests/integration/test_platinum.py.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "supervisor/launch/cgroup_files.h"

using namespace tenantd;

namespace {

// A directory whose files were "made by the kernel" beforehand.
class FakeTree {
 public:
  FakeTree() {
    char name[] = "/tmp/tenantd-cpuset-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
  }
  FakeTree(const FakeTree&) = delete;
  FakeTree& operator=(const FakeTree&) = delete;
  ~FakeTree() { std::filesystem::remove_all(root); }
  void file(const std::string& path, const std::string& text = {}) const {
    std::filesystem::create_directories(std::filesystem::path(root + "/" + path).parent_path());
    std::ofstream(root + "/" + path) << text;
  }
  void v1_group(const std::string& path) const {
    for (const char* one : {"cpuset.cpus", "cpuset.mems", "tasks", "cgroup.procs"}) {
      file(path + "/" + one);
    }
  }
  [[nodiscard]] std::string read(const std::string& path) const {
    std::ifstream stream(root + "/" + path);
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  std::string root;
};

// The groups that limit: remembers what it was asked.
class FakeGroups final : public CgroupBackend {
 public:
  FakeGroups(CgroupMode mode, std::string root) : mode_(mode), root_(std::move(root)) {
    layers_.add(Layer::cgroup_memory);
  }
  CgroupMode mode() const override { return mode_; }
  LayerSet layers() const override { return layers_; }
  CgroupAbilities abilities() const override { return {}; }
  Status create(const CgroupName&, const ResourceLimits&) override { return {}; }
  Status attach(const CgroupName&, pid_t) override { return {}; }
  Result<std::vector<UniqueFd>> entrances(const CgroupName&) override {
    std::vector<UniqueFd> files;
    files.emplace_back();
    return files;
  }
  Result<UniqueFd> directory(const CgroupName&) override { return UniqueFd(); }
  Status apply(const CgroupName&, const ResourceLimits&) override { return {}; }
  Result<CgroupUsage> usage(const CgroupName&) override { return CgroupUsage{}; }
  std::vector<CgroupSetting> settings(const CgroupName&, const ResourceLimits&) override {
    return {};
  }
  Status kill(const CgroupName&) override { return {}; }
  Status remove(const CgroupName&) override { return {}; }
  Result<std::vector<CgroupName>> list() override { return std::vector<CgroupName>{}; }
  Result<std::vector<pid_t>> processes(const CgroupName&) override { return std::vector<pid_t>{}; }
  std::string root_directory() const override { return root_; }
  void remove_root() override {}

 private:
  CgroupMode mode_;
  std::string root_;
  LayerSet layers_;
};

const CgroupName acme{*TenantId::parse("acme"), 1};
const CpuSet shared_cpus = *CpuSet::parse("0-1");

GroupPlacement on(const std::string& cpus, std::uint64_t memory_min = 0, bool partition = false) {
  return {*CpuSet::parse(cpus), {}, memory_min, partition};
}

struct V1 {
  V1() {
    tree.file("cpuset.cpus", "0-3\n");
    tree.file("cpuset.mems", "0\n");
    for (const char* group : {"td", "td/tenants", "td/probes", "td/tenants/acme",
                              "td/tenants/acme/g1", "td/control", "td/control/g1"}) {
      tree.v1_group(group);
    }
    backend = add_cpusets_v1(std::make_unique<FakeGroups>(CgroupMode::v1, ""), tree.root, "td",
                             {shared_cpus, false}, explanation);
  }
  FakeTree tree;
  std::string explanation;
  std::unique_ptr<CgroupBackend> backend;
};

struct V2 {
  explicit V2(bool partition = false) {
    for (const char* group : {"", "slice/", "slice/td/", "slice/td/tenants/", "slice/td/probes/",
                              "slice/td/tenants/acme/", "slice/td/tenants/acme/g1/"}) {
      const std::string base(group);
      for (const char* one : {"cgroup.subtree_control", "cpuset.cpus", "cpuset.mems"}) {
        tree.file(base + one);
      }
      tree.file(base + "memory.min", "0\n");
    }
    backend = add_cpusets_v2(std::make_unique<FakeGroups>(CgroupMode::v2, tree.root + "/slice/td"),
                             tree.root, {shared_cpus, partition}, explanation);
  }
  // The one group right below the root that place() makes for a partition.
  void make_partition_files(const std::string& state) {
    for (const char* path : {"", "/probes", "/tenants", "/tenants/acme", "/tenants/acme/g1"}) {
      const std::string base = name() + path + "/";
      for (const char* one :
           {"cgroup.subtree_control", "cpuset.cpus", "cpuset.mems", "cgroup.controllers"}) {
        tree.file(base + one);
      }
      tree.file(base + "memory.min", "0\n");
    }
    tree.file(name() + "/cgroup.controllers", "memory\n");
    tree.file(name() + "/cpuset.cpus.partition", state);
  }
  [[nodiscard]] std::string name() const { return "tenantd-" + hash + "-acme"; }
  FakeTree tree;
  std::string hash;
  std::string explanation;
  std::unique_ptr<CgroupBackend> backend;
};

}  // namespace

TEST_CASE("v1: every group has CPUs and nodes, others' are the shared ones") {
  V1 host;
  CHECK(host.explanation.empty());
  CHECK(host.tree.read("td/cpuset.cpus") == "0-3");
  CHECK(host.tree.read("td/tenants/cpuset.mems") == "0");
  CHECK(host.backend->place(acme, on("2-3")));
  CHECK(host.tree.read("td/tenants/acme/cpuset.cpus") == "2-3");
  CHECK(host.tree.read("td/tenants/acme/g1/cpuset.cpus") == "2-3");
  CHECK(host.backend->place({std::nullopt, 1}, {}));
  CHECK(host.tree.read("td/control/g1/cpuset.cpus") == "0-1");
  CHECK(host.backend->entrances(acme)->size() == 2);
  CHECK(host.backend->attach(acme, 77));
  CHECK(host.tree.read("td/tenants/acme/g1/cgroup.procs") == "77");
  CHECK(host.backend->placement_abilities().cpuset);
}

TEST_CASE("v1 has no guarantees and no partitions") {
  V1 host;
  const Status memory = host.backend->place(acme, on("2", 4096));
  REQUIRE_FALSE(memory);
  CHECK(memory.error().code == ErrorCode::unsupported);
  CHECK(memory.error().message.find("cannot guarantee memory") != std::string::npos);
  CHECK_FALSE(host.backend->place(acme, on("2", 0, true)));
  CHECK_FALSE(host.backend->placement_abilities().no_memory_guarantee.empty());
}

TEST_CASE("v1: a host without the hierarchy, or nothing set aside, goes on without") {
  std::string explanation;
  auto none = add_cpusets_v1(std::make_unique<FakeGroups>(CgroupMode::v1, ""), "", "td",
                             {shared_cpus, false}, explanation);
  CHECK(explanation.find("by affinity alone") != std::string::npos);
  CHECK_FALSE(none->placement_abilities().cpuset);
  CHECK(none->place(acme, on("2")));
  const FakeTree tree;
  auto unused = add_cpusets_v1(std::make_unique<FakeGroups>(CgroupMode::v1, ""), tree.root, "td",
                               {}, explanation);
  CHECK(explanation.find("by affinity") != std::string::npos);  // unchanged: nothing to say
  CHECK(unused->place(acme, {}));
  CHECK(std::filesystem::is_empty(tree.root));
}

TEST_CASE("v2: the tenant's group has its CPUs, and what the kernel gives is read back") {
  V2 host;
  CHECK(host.explanation.empty());
  CHECK(host.tree.read("slice/td/tenants/cgroup.subtree_control") == "+cpuset");
  host.tree.file("slice/td/tenants/acme/cpuset.cpus.effective", "2-3\n");
  CHECK(host.backend->place(acme, on("2-3")));
  CHECK(host.tree.read("slice/td/tenants/acme/cpuset.cpus") == "2-3");
  host.tree.file("slice/td/tenants/acme/cpuset.cpus.effective", "0-1\n");
  CHECK(host.backend->place(acme, {}));
  host.tree.file("slice/td/tenants/acme/cpuset.cpus.effective", "2\n");
  const Status cut = host.backend->place(acme, on("2-3"));
  REQUIRE_FALSE(cut);
  CHECK(cut.error().message == "asked for CPUs 2-3, the kernel gives its group 2");
}

TEST_CASE("v2: memory is guaranteed down to the process, and only where those above allow it") {
  V2 host;
  host.tree.file("slice/td/tenants/acme/cpuset.cpus.effective", "2\n");
  const Status refused = host.backend->place(acme, on("2", 8192));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unsupported);
  CHECK(refused.error().message.find("slice, which is above tenantd's groups") !=
        std::string::npos);
  host.tree.file("slice/memory.min", "16384\n");
  for (const char* group : {"slice/td", "slice/td/tenants", "slice/td/tenants/acme"}) {
    host.tree.file(std::string(group) + "/memory.min");
  }
  CHECK(host.backend->place(acme, on("2", 8192)));
  for (const char* group : {"slice/td", "slice/td/tenants", "slice/td/tenants/acme"}) {
    CHECK(host.tree.read(std::string(group) + "/memory.min") == "8192");
  }
  CHECK(host.backend->create(acme, {}));
  CHECK(read_cgroup_number(host.tree.root + "/slice/td/tenants/acme/g1/memory.min") == 8192);
}

TEST_CASE("v2: a partition lies right below the root, or the kernel's reason is told") {
  V2 host(true);
  CHECK(host.tree.read("cgroup.subtree_control") == "+cpuset");
  CHECK(host.backend->placement_abilities().partition);
  // A group of the name exists as soon as somebody asks: find it there.
  const Status without_files = host.backend->place(acme, on("2-3", 0, true));
  REQUIRE_FALSE(without_files);
  const std::string message = without_files.error().message;
  const std::size_t start = message.find("tenantd-", host.tree.root.size());
  REQUIRE(start != std::string::npos);
  host.hash = message.substr(start + 8, 8);
  host.make_partition_files("");
  CHECK(host.backend->place(acme, on("2-3", 8192, true)));
  CHECK(host.tree.read(host.name() + "/cpuset.cpus") == "2-3");
  CHECK(host.tree.read(host.name() + "/cpuset.cpus.partition") == "root");
  CHECK(read_cgroup_number(host.tree.root + "/" + host.name() + "/tenants/acme/memory.min") ==
        8192);
  const auto names = host.backend->list();
  REQUIRE(names->size() == 1);
  CHECK(names->front().generation == 1);
  // A write that the kernel takes but does not follow.
  host.tree.file(host.name() + "/cpuset.cpus.partition", "root invalid (Cpu list not exclusive)");
  host.tree.file(host.name() + "/cpuset.cpus");
  const Status invalid = host.backend->place(acme, on("2-3", 0, true));
  REQUIRE_FALSE(invalid);
  CHECK(invalid.error().code == ErrorCode::unsupported);
  CHECK(invalid.error().message ==
        "the kernel makes no partition of CPUs 2-3: root invalid (Cpu list not exclusive)");
}
