// Tenants on a fake host whose time the test moves, and a file for when they were swept.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "supervisor/retention/sleeper_sweep.h"

namespace tenantd::test {

inline TenantId named(const std::string& id) { return TenantId::parse(id).value(); }

class TimesFile {
 public:
  TimesFile() {
    std::string name = (std::filesystem::temp_directory_path() / "tenantd-sweep-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    directory_ = name;
  }
  ~TimesFile() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  TimesFile(const TimesFile&) = delete;
  TimesFile& operator=(const TimesFile&) = delete;
  [[nodiscard]] std::string path() const { return (directory_ / "times").string(); }

 private:
  std::filesystem::path directory_;
};

class SweepProcess final : public Worker {
 public:
  SweepProcess(std::uint64_t generation, std::function<void()> end, std::function<void()> tell)
      : generation_(generation), end_(std::move(end)), tell_(std::move(tell)) {}
  [[nodiscard]] pid_t pid() const override { return 1; }
  [[nodiscard]] uid_t uid() const override { return 1; }
  [[nodiscard]] std::uint64_t generation() const override { return generation_; }
  [[nodiscard]] LayerSet applied_layers() const override { return LayerSet::all(); }
  [[nodiscard]] LayerSet missing_layers() const override { return {}; }
  [[nodiscard]] bool outdated_by(const TenantConfig&) const override { return false; }
  [[nodiscard]] ShardSet shards() const override { return {}; }
  [[nodiscard]] WorkerUsage usage() const override { return {}; }
  void drain(DrainReason, std::uint32_t) override { end_(); }
  void kill() override { end_(); }
  void update_settings(const TenantSettings&) override {}
  [[nodiscard]] Status apply_limits(const ResourceLimits&) override { return {}; }
  [[nodiscard]] Status attach(Attach, UniqueFd) override { return {}; }
  void request_status() override { tell_(); }
  [[nodiscard]] Status attach_tenant(const TenantSettings&, Attach, UniqueFd) override {
    return {};
  }
  void update_tenant(const TenantSettings&) override {}
  void release_tenant(const TenantId&, DrainReason) override {}
  void move_rows(const TenantId&, std::uint32_t, std::uint32_t) override {}

 private:
  std::uint64_t generation_;
  std::function<void()> end_;
  std::function<void()> tell_;
};

// Workers are ready, and gone after a drain, when settle() is called.
class SweepWorld final : public TenantHost {
 public:
  explicit SweepWorld(std::uint32_t max_workers = 100) : config(default_daemon_config()) {
    config.max_workers = max_workers;
    tenants = std::make_unique<Tenants>(*this, TenantPolicy::from(config), 1);
    restart();
  }

  // As a supervisor that starts anew does: nothing is known but the file.
  void restart() {
    sweep = std::make_unique<SleeperSweep>(
        *tenants, file.path(), times,
        SleeperSweep::Services{
            [this] { return now; }, [this] { return static_cast<std::int64_t>(now / 1000); },
            [this](const Tenant& tenant) { return !without_data.contains(tenant.id); },
            [](bool, const std::string&, const TenantId&) {}});
  }

  void add(const std::string& id, StartMode start = StartMode::on_demand,
           std::optional<std::uint32_t> retention_days = 30) {
    TenantConfig tenant;
    tenant.id = id;
    tenant.name = id;
    tenant.plan = Plan::premium;
    tenant.start = start;
    tenant.retention_days = retention_days;
    tenant.router.dimension = 384;
    tenant.router.encoder = "hash";
    change(tenant);
    tenants->apply_file(named(id), tenant);
    settle();
  }
  std::function<void(TenantConfig&)> change = [](TenantConfig&) {};

  // Everything that happens until `until_ms`, in its order.
  void run_until(std::uint64_t until_ms) {
    for (;;) {
      settle();
      if (next_run > until_ms) break;
      now = std::max(now, next_run);
      ++runs;
      const std::uint64_t wait = sweep->run();
      CHECK(wait > 0);
      next_run = now + wait;
      settle();
      most_alive = std::max(most_alive, tenants->running());
    }
    now = until_ms;
  }
  void settle() {
    for (int i = 0; i < 1000; ++i) {
      if (!step()) return;
    }
    FAIL("it does not come to rest");
  }
  [[nodiscard]] Phase phase(const std::string& id) const {
    const Tenant* const tenant = tenants->find(named(id));
    return tenant == nullptr ? Phase::count : tenant->phase;
  }
  // What a worker says of itself when it is asked.
  void tell(const TenantId& id, std::uint64_t generation, std::uint64_t began_ms) {
    WorkerStatus status;
    status.swept = now - began_ms >= sweep_takes_ms ? 1 : 0;
    tenants->on_status(id, generation, status);
  }
  void die(const TenantId& id) {
    tenants->on_died(id, tenants->find(id)->generation, {DeathCause::Kind::exited, 0}, "");
  }

  [[nodiscard]] std::uint64_t now_ms() const override { return now; }
  void set_alarm(std::uint64_t at_ms) override { alarm_at = at_ms; }
  Result<std::unique_ptr<Worker>> start_worker(const TenantId& id, const TenantConfig&,
                                               std::uint64_t generation) override {
    ++starts[id.str()];
    if (broken.contains(id)) return fail(ErrorCode::unavailable, "broken");
    return std::unique_ptr<Worker>(std::make_unique<SweepProcess>(
        generation, [this, id] { ending.insert(id); },
        [this, id, generation, began_ms = now] { tell(id, generation, began_ms); }));
  }
  [[nodiscard]] std::uint64_t last_generation(const TenantId&) const override { return 0; }
  void journal(EventType, const TenantId&, pid_t, std::uint64_t, const std::string&) override {}
  void worker_ready(const TenantId&) override {}
  void worker_unavailable(const TenantId&, const Error&) override {}
  void worker_gone(const TenantId&, const DeathCause*) override {}
  void rows_moved(const TenantId&, const RowsMoved&) override {}
  void impossible(const TenantId&, const std::string& what) override { FAIL(what); }

  std::uint64_t sweep_takes_ms = 20'000;
  TimesFile file;
  DaemonConfig config;
  SleeperSweepTimes times;
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<SleeperSweep> sweep;
  std::uint64_t now = 1'700'000'000'000;
  std::uint64_t next_run = now + 10'000;
  std::uint64_t alarm_at = 0;
  std::map<std::string, int> starts;
  std::set<TenantId> broken;
  std::set<TenantId> without_data;
  std::set<TenantId> ending;
  std::size_t most_alive = 0;
  int runs = 0;

 private:
  bool step() {
    if (!ending.empty()) {
      const TenantId id = *ending.begin();
      ending.erase(ending.begin());
      die(id);
      return true;
    }
    for (const auto& [id, tenant] : tenants->all()) {
      if (tenant.phase != Phase::starting) continue;
      tenants->on_ready(TenantId(id), tenant.generation);
      return true;
    }
    if (alarm_at == 0 || alarm_at > now) return false;
    alarm_at = 0;
    tenants->on_alarm();
    return true;
  }
};

}  // namespace tenantd::test
