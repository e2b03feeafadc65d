// Pooled workers as processes of a fake host: they hold what they were started with until they end.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <vector>

#include "supervisor/pool/pooled_tenants.h"

namespace tenantd::test {

class PoolWorld;

class PoolProcess final : public Worker {
 public:
  PoolProcess(PoolWorld& world, TenantId id, std::uint64_t generation, ShardSet shards)
      : world_(world), id_(id), generation_(generation), shards_(shards) {}
  [[nodiscard]] pid_t pid() const override { return 1; }
  [[nodiscard]] uid_t uid() const override { return 1; }
  [[nodiscard]] std::uint64_t generation() const override { return generation_; }
  [[nodiscard]] LayerSet applied_layers() const override { return LayerSet::all(); }
  [[nodiscard]] LayerSet missing_layers() const override { return {}; }
  [[nodiscard]] bool outdated_by(const TenantConfig& config) const override {
    return !config.pool || config.pool->shards != shards_;
  }
  [[nodiscard]] ShardSet shards() const override { return shards_; }
  [[nodiscard]] WorkerUsage usage() const override { return {}; }
  void drain(DrainReason, std::uint32_t) override;
  void kill() override { drain({}, 0); }
  void update_settings(const TenantSettings&) override {}
  [[nodiscard]] Status apply_limits(const ResourceLimits&) override { return {}; }
  [[nodiscard]] Status attach(Attach, UniqueFd) override { return {}; }
  void request_status() override {}
  [[nodiscard]] Status attach_tenant(const TenantSettings&, Attach, UniqueFd) override {
    return {};
  }
  void update_tenant(const TenantSettings& settings) override;
  void release_tenant(const TenantId& tenant, DrainReason reason) override;
  void move_rows(const TenantId& tenant, std::uint32_t from, std::uint32_t to) override;

 private:
  PoolWorld& world_;
  TenantId id_;
  std::uint64_t generation_;
  ShardSet shards_;
};

// What the daemon does around the pool, with time and processes played.
class PoolWorld final : public TenantHost {
 public:
  explicit PoolWorld(std::uint32_t worker_count, const std::string& own_directory = {})
      : own(own_directory) {
    problems = own.load();
    config = default_daemon_config();
    config.pool.workers = worker_count;
    tenants = std::make_unique<Tenants>(*this, TenantPolicy::from(config), 1);
    workers = std::make_unique<PoolWorkers>(*tenants, config, own);
    pooled = std::make_unique<PooledTenants>(
        *this, *workers, [this](std::uint64_t files) { untold += files; },
        [this](const TenantId& id) { onboarded.push_back(id.str()); });
  }

  [[nodiscard]] std::uint64_t now_ms() const override { return now; }
  void set_alarm(std::uint64_t at_ms) override { alarm_at = at_ms; }
  Result<std::unique_ptr<Worker>> start_worker(const TenantId& id, const TenantConfig& with,
                                               std::uint64_t generation) override {
    REQUIRE(with.pool);
    for (const auto& [other, process] : processes) {
      CHECK(other != id);
      for (std::uint32_t shard = 0; shard < max_shards; ++shard) {
        // The promise: no shard has two writers.
        CHECK_FALSE((process->shards().has(shard) && with.pool->shards.has(shard)));
      }
    }
    if (on_start) on_start(id, *with.pool);
    ++starts[id];
    auto process = std::make_unique<PoolProcess>(*this, id, generation, with.pool->shards);
    processes[id] = process.get();
    return std::unique_ptr<Worker>(std::move(process));
  }
  [[nodiscard]] std::uint64_t last_generation(const TenantId&) const override { return 0; }
  void journal(EventType type, const TenantId&, pid_t, std::uint64_t, const std::string&) override {
    ++journalled[type];
  }
  void worker_ready(const TenantId&) override { reconcile_soon = true; }
  void worker_unavailable(const TenantId&, const Error&) override {}
  void worker_gone(const TenantId&, const DeathCause*) override { reconcile_soon = true; }
  void rows_moved(const TenantId& worker, const RowsMoved& moved) override {
    CHECK(workers->note_moved(worker, TenantId::parse(moved.tenant_id.view()).value(), moved));
    reconcile_soon = true;
  }
  void impossible(const TenantId&, const std::string& what) override { FAIL(what); }

  void set_workers(std::uint32_t count) {
    config.pool.workers = count;
    workers->configure();
  }
  // One thing that is due: an alarm, a drained process's death, readiness. False: nothing is.
  bool step() {
    if (std::exchange(reconcile_soon, false)) {
      workers->reconcile();
      return true;
    }
    const bool alarm_is_due = alarm_at != 0 && alarm_at <= now;
    if (!moving.empty() && moves_work) {
      const auto [worker, moved] = moving.back();
      moving.pop_back();
      tenants->on_rows_moved(worker, moved.header.generation, moved);
      return true;
    }
    if (!draining.empty() && !(starts_first && alarm_is_due)) {
      const TenantId id = *draining.begin();
      draining.erase(draining.begin());
      const std::uint64_t generation = processes.at(id)->generation();
      processes.erase(id);
      tenants->on_died(id, generation, {DeathCause::Kind::exited, 0}, "");
      return true;
    }
    for (const auto& [id, tenant] : tenants->all()) {
      if (tenant.phase != Phase::starting) continue;
      tenants->on_ready(TenantId(id), tenant.generation);
      return true;
    }
    if (!alarm_is_due) return false;
    alarm_at = 0;
    tenants->on_alarm();
    return true;
  }
  // The process of a pooled worker dies of its own accord.
  void crash(const TenantId& id) {
    const std::uint64_t generation = processes.at(id)->generation();
    processes.erase(id);
    tenants->on_died(id, generation, {DeathCause::Kind::signalled, 11}, "");
  }
  void settle() {
    for (int i = 0; i < 1000; ++i) {
      if (!step()) return;
    }
    FAIL("it does not come to rest");
  }
  void add(const std::string& id, StartMode start = StartMode::eager) {
    TenantConfig tenant;
    tenant.id = id;
    tenant.name = id;
    tenant.plan = Plan::standard;
    tenant.start = start;
    tenant.router.dimension = 384;
    tenant.router.encoder = "hash";
    pooled->apply_file(TenantId::parse(id).value(), tenant);
  }

  OwnShards own;
  std::vector<std::string> problems;  // of own shards' files
  DaemonConfig config;
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<PoolWorkers> workers;
  std::unique_ptr<PooledTenants> pooled;
  std::uint64_t now = 1000;
  std::uint64_t alarm_at = 0;
  std::map<TenantId, PoolProcess*> processes;
  std::set<TenantId> draining;  // or killed: they end with the next step
  std::map<TenantId, int> starts;
  std::map<EventType, int> journalled;
  std::vector<std::string> onboarded;
  std::vector<std::string> released;
  std::vector<std::string> updated;
  std::vector<std::pair<TenantId, RowsMoved>> moving;
  bool moves_work = true;
  std::uint64_t untold = 0;
  bool reconcile_soon = false;
  bool starts_first = false;  // a new process is quicker than the end of an old one
  std::function<void(const TenantId&, const PoolShare&)> on_start;
};

inline void PoolProcess::drain(DrainReason, std::uint32_t) { world_.draining.insert(id_); }
inline void PoolProcess::update_tenant(const TenantSettings& settings) {
  world_.updated.emplace_back(settings.tenant_id.view());
}
inline void PoolProcess::release_tenant(const TenantId& tenant, DrainReason) {
  world_.released.push_back(tenant.str());
}
inline void PoolProcess::move_rows(const TenantId& tenant, std::uint32_t from, std::uint32_t to) {
  CHECK(shards_.has(from));
  CHECK(shards_.has(to));
  auto moved = make_link_message<RowsMoved>(generation_);
  (void)moved.tenant_id.assign(tenant.view());
  moved.to = to;
  moved.done = 1;
  world_.moving.emplace_back(id_, moved);
}

}  // namespace tenantd::test
