#include "supervisor/physical/host_topology.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace tenantd;

namespace {

// A tree like /sys/devices/system.
class FakeSystem {
 public:
  FakeSystem() {
    char name[] = "/tmp/tenantd-system-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
  }
  FakeSystem(const FakeSystem&) = delete;
  FakeSystem& operator=(const FakeSystem&) = delete;
  ~FakeSystem() { std::filesystem::remove_all(root); }
  void file(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root + "/" + path).parent_path());
    std::ofstream(root + "/" + path) << text;
  }
  std::string root;
};

}  // namespace

TEST_CASE("nodes, cores and memory as the kernel shows them") {
  const FakeSystem system;
  system.file("cpu/online", "0-3,5\n");
  for (const char* cpu : {"0", "2"}) {
    system.file(std::string("cpu/cpu") + cpu + "/topology/core_cpus_list", "0,2\n");
  }
  system.file("cpu/cpu1/topology/thread_siblings_list", "1,4\n");  // an older kernel; 4 is offline
  system.file("node/online", "0,2\n");
  system.file("node/node0/cpulist", "0-3\n");
  system.file("node/node0/meminfo", "Node 0 MemTotal:  2048 kB\nNode 0 MemFree: 1 kB\n");
  system.file("node/node2/cpulist", "4-5\n");
  const auto host = read_host_topology(system.root, 4096);
  REQUIRE(host);
  CHECK(host->online.str() == "0-3,5");
  REQUIRE(host->cores.size() == 4);
  CHECK(host->cores[0].str() == "0,2");
  CHECK(host->cores[1].str() == "1");
  CHECK(host->cores[2].str() == "3");
  CHECK(host->cores[3].str() == "5");
  REQUIRE(host->nodes.size() == 2);
  CHECK(host->nodes[0].memory_bytes == 2048 * 1024);
  CHECK(host->nodes[1].id == 2);
  CHECK(host->nodes[1].cpus.str() == "5");
  CHECK(host->node_ids() == "0,2");
  CHECK(host->nodes_of(*CpuSet::parse("3,5")) == "0,2");
  CHECK(host->node(1) == nullptr);
}

TEST_CASE("a kernel without NUMA has one node, and one without CPUs is an error") {
  const FakeSystem system;
  CHECK_FALSE(read_host_topology(system.root, 4096));
  system.file("cpu/online", "0-1\n");
  const auto host = read_host_topology(system.root, 4096);
  REQUIRE(host);
  REQUIRE(host->nodes.size() == 1);
  CHECK(host->nodes[0].cpus.str() == "0-1");
  CHECK(host->nodes[0].memory_bytes == 4096);
}

TEST_CASE("this host can be read") {
  const auto host = read_host_topology();
  REQUIRE(host);
  CHECK_FALSE(host->online.empty());
  CHECK(host->memory_bytes > 0);
  CpuSet in_cores;
  for (const CpuSet& core : host->cores) in_cores = in_cores.with(core);
  CHECK(in_cores.str() == host->online.str());
}
