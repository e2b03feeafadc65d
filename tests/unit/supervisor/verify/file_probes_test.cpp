#include "supervisor/verify/file_probes.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace tenantd;

namespace {

struct Directories {
  Directories() {
    std::string name = "/tmp/verify-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    base = name;
    parent = base + "/tenants";
    data = parent + "/acme";
    REQUIRE(::mkdir(parent.c_str(), 0711) == 0);
    REQUIRE(::mkdir(data.c_str(), 0700) == 0);
  }
  Directories(const Directories&) = delete;
  Directories& operator=(const Directories&) = delete;
  ~Directories() { std::filesystem::remove_all(base); }
  [[nodiscard]] std::string file(const std::string& name, mode_t mode) const {
    const std::string path = data + "/" + name;
    std::ofstream(path) << "x";
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  }
  std::string base;
  std::string parent;
  std::string data;
};

UidAllocator own_uids() { return {::geteuid(), 10, false}; }

}  // namespace

TEST_CASE("a directory of the tenant's alone passes, any other does not") {
  const Directories here;
  const auto outcome = [&] { return probe_data_directory(here.data, own_uids()).outcome; };
  CHECK(outcome() == ProbeOutcome::passed);
  REQUIRE(::chmod(here.data.c_str(), 0755) == 0);
  CHECK(outcome() == ProbeOutcome::failed);
  REQUIRE(::chmod(here.data.c_str(), 01700) == 0);
  CHECK(outcome() == ProbeOutcome::failed);
  REQUIRE(::chmod(here.data.c_str(), 0700) == 0);
  REQUIRE(::chmod(here.parent.c_str(), 0733) == 0);
  CHECK(outcome() == ProbeOutcome::failed);
  REQUIRE(::chmod(here.parent.c_str(), 0711) == 0);
  const UidAllocator others(::geteuid() + 1, 10, true);
  CHECK(probe_data_directory(here.data, others).outcome == ProbeOutcome::failed);
  std::filesystem::create_symlink("acme", here.parent + "/link");
  CHECK(probe_data_directory(here.parent + "/link", own_uids()).outcome == ProbeOutcome::failed);
  CHECK(probe_data_directory(here.parent + "/gone", own_uids()).outcome == ProbeOutcome::failed);
}

TEST_CASE("files in it are plain, private and have one name") {
  const Directories here;
  const auto outcome = [&] { return probe_data_files(here.data).outcome; };
  CHECK(outcome() == ProbeOutcome::passed);
  const std::string file = here.file("routes.db", 0600);
  CHECK(outcome() == ProbeOutcome::passed);
  REQUIRE(::chmod(file.c_str(), 0640) == 0);
  CHECK(outcome() == ProbeOutcome::failed);
  REQUIRE(::chmod(file.c_str(), 0600) == 0);
  REQUIRE(::link(file.c_str(), (here.base + "/elsewhere").c_str()) == 0);
  CHECK(outcome() == ProbeOutcome::failed);
  REQUIRE(::unlink((here.base + "/elsewhere").c_str()) == 0);
  std::filesystem::create_symlink("/etc/passwd", here.data + "/link");
  CHECK(outcome() == ProbeOutcome::failed);
  REQUIRE(::unlink((here.data + "/link").c_str()) == 0);
  REQUIRE(::mkfifo((here.data + "/fifo").c_str(), 0600) == 0);
  CHECK(outcome() == ProbeOutcome::failed);
}

TEST_CASE("more files than are looked at have not passed") {
  const Directories here;
  for (std::size_t i = 0; i <= max_entries; ++i) (void)here.file(std::to_string(i), 0600);
  CHECK(probe_data_files(here.data).outcome == ProbeOutcome::failed);
}

TEST_CASE("another owner of the uid is found, in however many slices") {
  const Directories here;
  UidScan alone({here.parent}, here.parent + "/acme", own_uids());
  CHECK(alone.step());
  CHECK(alone.finding().outcome == ProbeOutcome::passed);
  REQUIRE(::mkdir((here.parent + "/globex").c_str(), 0700) == 0);
  UidScan shared({here.parent}, here.parent + "/acme", own_uids());
  while (!shared.step()) {
  }
  CHECK(shared.finding().outcome == ProbeOutcome::failed);
  CHECK(shared.finding().evidence.find("globex") != std::string::npos);
  // Beside it, wherever that is, and not under its own name.
  REQUIRE(::rmdir((here.parent + "/globex").c_str()) == 0);
  const std::string other = here.parent + "/other-root";
  for (const std::string name : {"", "/acme"}) REQUIRE(::mkdir((other + name).c_str(), 0700) == 0);
  REQUIRE(::rename(other.c_str(), (here.data + "/roots").c_str()) == 0);
  const std::vector<std::string> parents = {here.data + "/roots", here.parent + "/none",
                                            here.parent};
  UidScan own_name(parents, here.parent + "/acme", own_uids());
  while (!own_name.step()) {
  }
  CHECK(own_name.finding().outcome == ProbeOutcome::passed);
  REQUIRE(::mkdir((here.data + "/roots/initech").c_str(), 0700) == 0);
  UidScan elsewhere(parents, here.parent + "/acme", own_uids());
  while (!elsewhere.step()) {
  }
  CHECK(elsewhere.finding().outcome == ProbeOutcome::failed);
  UidScan gone({here.parent}, here.parent + "/initech", own_uids());
  CHECK(gone.step());
  CHECK(gone.finding().outcome == ProbeOutcome::failed);
}

TEST_CASE("a run record is the supervisor's alone and names the worker") {
  const Directories here;
  const RunRecord record{
      *TenantId::parse("acme"), 42, 7, "boot", 3, ::geteuid(), {}, {}, "print", {}};
  const std::string path = here.data + "/acme.record";
  std::ofstream(path) << encode_record(record);
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  CHECK(probe_run_record(path, 42, 3).outcome == ProbeOutcome::passed);
  CHECK(probe_run_record(path, 43, 3).outcome == ProbeOutcome::failed);
  CHECK(probe_run_record(path, 42, 4).outcome == ProbeOutcome::failed);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(probe_run_record(path, 42, 3).outcome == ProbeOutcome::failed);
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  REQUIRE(::chmod(here.data.c_str(), 0755) == 0);
  CHECK(probe_run_record(path, 42, 3).outcome == ProbeOutcome::failed);
  std::ofstream(path) << "nonsense";
  CHECK(probe_run_record(path, 42, 3).outcome == ProbeOutcome::failed);
}
