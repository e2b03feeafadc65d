// Who is blamed for a pooled worker's death, and what that costs whom.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "supervisor/pool/crash_witness.h"
#include "tests/unit/supervisor/pool/pool_fixture.h"

namespace tenantd::test {
namespace {

TenantId id_of(const std::string& text) { return TenantId::parse(text).value(); }

struct WorkerDirectory {
  std::string path;
  WorkerDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenantd-pool-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~WorkerDirectory() { std::filesystem::remove_all(path); }
  WorkerDirectory(const WorkerDirectory&) = delete;
  WorkerDirectory& operator=(const WorkerDirectory&) = delete;
  void write(const std::string& bytes) const { std::ofstream(path + "/running") << bytes; }
  void write(const std::string& running, const std::string& editing,
             const std::string& largest) const {
    RunningRecord record;
    running.copy(record.tenant_id.data(), record.tenant_id.size());
    editing.copy(record.editing_id.data(), record.editing_id.size());
    largest.copy(record.largest_id.data(), record.largest_id.size());
    write(std::string(reinterpret_cast<const char*>(&record), sizeof record));
  }
};

std::string culprit(const WorkerDirectory& directory, const DeathCause& cause) {
  const auto found = find_culprit(directory.path, cause);
  return found ? found->str() : "";
}

constexpr DeathCause crash{DeathCause::Kind::signalled, SIGSEGV};

// The pooled worker's process, once all is at rest.
bool runs(const PoolWorld& world, const TenantId& worker) {
  return world.processes.contains(worker);
}

}  // namespace

TEST_CASE("a crash is blamed on whose request ran, a lack of memory on who held the most") {
  const WorkerDirectory directory;
  CHECK(culprit(directory, crash).empty());  // no file
  directory.write("a", "b", "c");
  CHECK(culprit(directory, crash) == "a");
  CHECK(culprit(directory, {DeathCause::Kind::signalled, SIGSYS}) == "a");
  CHECK(culprit(directory, {DeathCause::Kind::unknown, 0}) == "a");
  CHECK(culprit(directory, {DeathCause::Kind::out_of_memory, 0}) == "c");
  CHECK(
      culprit(directory, {DeathCause::Kind::signalled, SIGKILL}).empty());  // somebody else did it
  CHECK(culprit(directory, {DeathCause::Kind::exited, 1}).empty());
  directory.write("", "b", "c");
  CHECK(culprit(directory, crash) == "b");
}

TEST_CASE("whatever a worker leaves there names a tenant or nobody") {
  const WorkerDirectory directory;
  for (const std::string& bytes :
       {std::string(), std::string("short"), std::string(4096, '\xff'), std::string(4096, 'a'),
        std::string("../../etc") + std::string(300, '\0')}) {
    directory.write(bytes);
    CHECK(culprit(directory, crash).empty());
    CHECK(culprit(directory, {DeathCause::Kind::out_of_memory, 0}).empty());
  }
  const std::string file = directory.path + "/running";
  std::filesystem::remove(file);
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);  // must not block
  CHECK(culprit(directory, crash).empty());
  std::filesystem::remove(file);
  REQUIRE(::symlink("/etc/passwd", file.c_str()) == 0);
  CHECK(culprit(directory, crash).empty());
}

TEST_CASE("the first death moves the tenant's shard to the probation worker, the second ends it") {
  PoolWorld world(2);
  for (int i = 0; i < 40; ++i) world.add("t" + std::to_string(i));
  world.settle();
  const TenantId tenant = id_of("t7");
  const TenantId worker = world.workers->worker_of(tenant);
  const std::uint32_t shard = world.workers->shard_of_tenant(tenant);
  world.crash(worker);
  world.pooled->accuse(tenant, worker, "signal 11");
  world.settle();
  CHECK(world.workers->worker_of(tenant) == probation_worker_id());
  CHECK(world.pooled->find(tenant)->settings.suspect == 1);
  CHECK(PooledTenants::quarantine_reason(*world.pooled->find(tenant)).empty());
  REQUIRE(runs(world, probation_worker_id()));
  CHECK(world.processes.at(probation_worker_id())->shards().count() == 1);
  CHECK(world.processes.at(probation_worker_id())->shards().has(shard));
  REQUIRE(runs(world, worker));
  CHECK_FALSE(world.processes.at(worker)->shards().has(shard));
  CHECK(world.journalled[EventType::tenant_suspected] == 1);
  for (const auto& [id, one] : world.pooled->all()) {
    if (id != tenant) CHECK(one.settings.suspect == 0);
  }

  world.crash(probation_worker_id());
  world.pooled->accuse(tenant, worker, "signal 11");  // not the worker that has it now
  CHECK(PooledTenants::quarantine_reason(*world.pooled->find(tenant)).empty());
  world.pooled->accuse(tenant, probation_worker_id(), "signal 11");
  CHECK_FALSE(PooledTenants::quarantine_reason(*world.pooled->find(tenant)).empty());
  CHECK(world.journalled[EventType::tenant_quarantined] == 1);
  world.settle();

  CHECK(world.pooled->acquit(tenant));
  CHECK_FALSE(world.pooled->acquit(tenant));
  world.settle();
  CHECK(world.workers->worker_of(tenant) == worker);
  CHECK(world.pooled->find(tenant)->settings.suspect == 0);
  CHECK_FALSE(runs(world, probation_worker_id()));
  REQUIRE(runs(world, worker));
  CHECK(world.processes.at(worker)->shards().has(shard));
}

TEST_CASE("two deaths long after each other are two first ones") {
  PoolWorld world(1);
  world.add("acme");
  world.settle();
  const TenantId tenant = id_of("acme");
  for (int i = 0; i < 3; ++i) {
    const TenantId worker = world.workers->worker_of(tenant);
    world.crash(worker);
    world.pooled->accuse(tenant, worker, "signal 11");
    world.now += PooledTenants::suspicion_ms + 1;
    world.settle();
    CHECK(PooledTenants::quarantine_reason(*world.pooled->find(tenant)).empty());
  }
  world.add("acme");  // its file again: what is known of it stays
  CHECK(world.pooled->find(tenant)->settings.suspect == 1);
}

}  // namespace tenantd::test
