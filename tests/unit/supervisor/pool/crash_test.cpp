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

TEST_CASE("the first death moves the tenant, alone, to the probation worker, the second ends it") {
  PoolWorld world(2);
  for (int i = 0; i < 40; ++i) world.add("t" + std::to_string(i));
  for (int i = 0; i < 400; ++i) world.add("more-" + std::to_string(i), StartMode::on_demand);
  world.settle();
  const TenantId tenant = id_of("t7");
  const TenantId worker = world.workers->worker_of(tenant);
  const std::uint32_t home = world.workers->shard_of_tenant(tenant);
  world.crash(worker);
  world.pooled->accuse(tenant, worker, "signal 11");
  world.settle();
  const std::uint32_t own = world.workers->shard_of_tenant(tenant);
  CHECK(own == world.config.pool.shards);
  CHECK(world.own.find(tenant)->moved);
  CHECK(world.workers->worker_of(tenant) == probation_worker_id());
  CHECK(world.pooled->find(tenant)->settings.suspect == 1);
  CHECK(world.pooled->find(tenant)->settings.own_shard == own);
  CHECK(PooledTenants::quarantine_reason(*world.pooled->find(tenant)).empty());
  REQUIRE(runs(world, probation_worker_id()));
  CHECK(world.processes.at(probation_worker_id())->shards().count() == 1);
  CHECK(world.processes.at(probation_worker_id())->shards().has(own));
  REQUIRE(runs(world, worker));
  CHECK(world.processes.at(worker)->shards().has(home));
  CHECK_FALSE(world.processes.at(worker)->shards().has(own));
  CHECK(world.journalled[EventType::tenant_suspected] == 1);
  std::size_t bystanders = 0;
  for (const auto& [id, one] : world.pooled->all()) {
    if (id == tenant) continue;
    CHECK(one.settings.suspect == 0);
    CHECK(one.settings.own_shard == 0);
    CHECK(world.workers->worker_of(id) != probation_worker_id());
    if (world.workers->shard_of_tenant(id) == home) ++bystanders;
  }
  CHECK(bystanders > 0);

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
  CHECK(world.workers->shard_of_tenant(tenant) == own);  // for good
  const TenantId last = world.workers->worker_of(tenant);
  CHECK(last == pool_worker_id(worker_of_shard(own, 2)));
  CHECK(world.pooled->find(tenant)->settings.suspect == 0);
  CHECK_FALSE(runs(world, probation_worker_id()));
  REQUIRE(runs(world, last));
  CHECK(world.processes.at(last)->shards().has(own));
}

TEST_CASE("until the rows are in the own shard its tenant waits, and nobody else has it") {
  PoolWorld world(2);
  world.add("acme");
  world.settle();
  world.moves_work = false;
  const TenantId tenant = id_of("acme");
  const TenantId worker = world.workers->worker_of(tenant);
  world.crash(worker);
  world.pooled->accuse(tenant, worker, "signal 11");
  world.settle();
  const std::uint32_t own = world.workers->shard_of_tenant(tenant);
  REQUIRE(world.moving.size() == 1);
  CHECK(world.processes.at(worker)->shards().has(own));
  CHECK_FALSE(runs(world, probation_worker_id()));
  CHECK(world.workers->request(tenant).value() == Tenants::Readiness::wait);
  // It does not work: who asks is told, and it is tried again.
  RowsMoved failed = world.moving.front().second;
  world.moving.clear();
  failed.done = 0;
  (void)failed.reason.assign("the disk is full");
  CHECK_FALSE(world.workers->note_moved(probation_worker_id(), tenant, failed));
  CHECK(world.workers->note_moved(worker, tenant, failed));
  const auto refused = world.workers->request(tenant);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("the disk is full") != std::string::npos);
  REQUIRE(world.moving.size() == 1);
  // The worker dies in the middle: the next one is told.
  world.crash(worker);
  world.moving.clear();
  world.now += 120'000;
  world.settle();
  REQUIRE(world.moving.size() == 1);
  world.moves_work = true;
  world.settle();
  CHECK(world.processes.at(probation_worker_id())->shards().has(own));
  CHECK_FALSE(world.processes.at(worker)->shards().has(own));
}

TEST_CASE("the next supervisor knows who is on probation, who is quarantined, and where they are") {
  const WorkerDirectory state;
  const std::string directory = state.path + "/own-shards";
  const TenantId first = id_of("first");
  const TenantId second = id_of("second");
  {
    PoolWorld world(2, directory);
    for (const char* const id : {"first", "second", "other"}) world.add(id);
    world.settle();
    for (const TenantId& one : {first, second, second}) {
      const TenantId worker = world.workers->worker_of(one);
      world.crash(worker);
      world.pooled->accuse(one, worker, "signal 11");
      world.settle();
    }
  }
  {
    PoolWorld world(2, directory);
    CHECK(world.problems.empty());
    for (const char* const id : {"first", "second", "other"}) world.add(id);
    world.settle();
    CHECK(world.moving.empty());
    CHECK(world.workers->worker_of(first) == probation_worker_id());
    CHECK(world.pooled->find(first)->settings.own_shard == 64);
    CHECK(PooledTenants::quarantine_reason(*world.pooled->find(first)).empty());
    CHECK(
        PooledTenants::probation_reason(*world.pooled->find(first)).find("shard 064 of its own") !=
        std::string::npos);
    CHECK_FALSE(PooledTenants::quarantine_reason(*world.pooled->find(second)).empty());
    CHECK(world.workers->worker_of(id_of("other")) != probation_worker_id());
    world.pooled->remove_file(first);  // and comes back
    world.add("first");
    CHECK(world.pooled->find(first)->settings.suspect == 1);
    // The first one's next death is its second.
    world.settle();
    world.crash(probation_worker_id());
    world.pooled->accuse(first, probation_worker_id(), "signal 11");
    CHECK_FALSE(PooledTenants::quarantine_reason(*world.pooled->find(first)).empty());
    CHECK(world.pooled->acquit(second));
  }
  std::ofstream(directory + "/064.first") << "broken";
  PoolWorld world(2, directory);
  REQUIRE(world.problems.size() == 1);
  CHECK(world.problems[0].find("064.first is broken") != std::string::npos);
  for (const char* const id : {"first", "second"}) world.add(id);
  world.settle();
  // In no case it is looked for elsewhere than in its shard.
  CHECK(world.pooled->find(first)->settings.own_shard == 64);
  CHECK(world.pooled->find(first)->deaths == 1);
  CHECK(world.own.find(first)->moved);  // was looked after again
  CHECK(world.pooled->find(second)->deaths == 0);
  CHECK(world.pooled->find(second)->settings.own_shard == 65);
  CHECK(world.workers->worker_of(second) != probation_worker_id());
}

TEST_CASE("without a shard to be had the whole home shard goes, as far as the last tenant's") {
  PoolWorld world(2);
  world.config.pool.shards = max_shards - 1;
  world.workers->configure();
  for (int i = 0; i < 40; ++i) world.add("t" + std::to_string(i));
  world.settle();
  for (const auto& [name, shard] : {std::pair("t1", max_shards - 1), std::pair("t2", 0U)}) {
    const TenantId tenant = id_of(name);
    const TenantId worker = world.workers->worker_of(tenant);
    const std::uint32_t home = world.workers->shard_of_tenant(tenant);
    world.crash(worker);
    world.pooled->accuse(tenant, worker, "signal 11");
    world.settle();
    CHECK(world.workers->worker_of(tenant) == probation_worker_id());
    CHECK(world.workers->shard_of_tenant(tenant) == (shard == 0 ? home : shard));
    CHECK(world.pooled->find(tenant)->settings.own_shard == shard);
  }
  for (const char* const name : {"t1", "t2"}) {
    CHECK(world.pooled->acquit(id_of(name)));
    world.settle();
    CHECK(world.workers->worker_of(id_of(name)) != probation_worker_id());
  }
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
