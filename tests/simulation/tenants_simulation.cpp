// Seeded simulation of the tenants' state machine: a fake clock and fake workers that crash, hang,
// start slowly, refuse to drain or survive a supervisor, while files come, change, break and go.
//
// usage: tenants_simulation [seed [runs]]. Prints its seeds; a failing run is repeated by its seed.
// Invariants, checked after every step: never two writers of one tenant; never more than
// start_concurrency workers starting; never more than max_workers active tenants (restarts by hand
// aside); no busy loop (the alarm never fires for ever without time passing). At the end, with all
// faults off: every tenant with a good file runs (or sleeps, if it starts on demand), and a
// shutdown ends every process.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "supervisor/tenant/tenants.h"

using namespace tenantd;

namespace {

[[noreturn]] void violated(std::uint64_t seed, std::uint64_t now_ms, const std::string& what) {
  std::fprintf(stderr, "VIOLATED at %llu ms with seed %llu: %s\n",
               static_cast<unsigned long long>(now_ms), static_cast<unsigned long long>(seed),
               what.c_str());
  std::exit(1);
}

// What a fake process will do, drawn at its start.
struct Fate {
  std::uint64_t ready_after_ms = 0;  // UINT64_MAX: never
  std::uint64_t dies_after_ms = 0;   // UINT64_MAX: not by itself
  std::uint64_t drains_after_ms = 0;
};

struct Process {
  TenantId tenant;
  std::uint64_t generation = 0;
  Fate fate;
  bool killed = false;
  bool drain_asked = false;
};

class World;

class FakeWorker final : public Worker {
 public:
  FakeWorker(World& world, std::uint64_t process, std::uint64_t generation)
      : world_(world), process_(process), generation_(generation) {}
  [[nodiscard]] pid_t pid() const override { return static_cast<pid_t>(process_); }
  [[nodiscard]] uid_t uid() const override { return 0; }
  [[nodiscard]] std::uint64_t generation() const override { return generation_; }
  [[nodiscard]] LayerSet applied_layers() const override { return LayerSet::all(); }
  [[nodiscard]] LayerSet missing_layers() const override { return {}; }
  [[nodiscard]] bool outdated_by(const TenantConfig&) const override { return false; }
  [[nodiscard]] ShardSet shards() const override { return {}; }
  [[nodiscard]] WorkerUsage usage() const override { return {}; }
  [[nodiscard]] Status attach_tenant(const TenantSettings&, Attach, UniqueFd) override {
    return {};
  }
  void update_tenant(const TenantSettings&) override {}
  void release_tenant(const TenantId&, DrainReason) override {}
  void move_rows(const TenantId&, std::uint32_t, std::uint32_t) override {}
  void drain(DrainReason, std::uint32_t) override;
  void kill() override;
  void update_settings(const TenantSettings&) override {}
  [[nodiscard]] Status apply_limits(const ResourceLimits&) override { return {}; }
  [[nodiscard]] Status attach(Attach, UniqueFd) override { return {}; }
  void request_status() override {}

 private:
  World& world_;
  std::uint64_t process_;
  std::uint64_t generation_;
};

enum class Happening { ready, died, registers };

class World final : public TenantHost {
 public:
  World(std::uint64_t seed, bool print) : random(seed), seed_(seed), print_(print) {
    policy.max_workers = 12;
    policy.start_concurrency = 3;
    policy.start_timeout_ms = 2000;
    policy.drain_timeout_ms = 1000;
    policy.restart = default_daemon_config().restart;
    tenants = std::make_unique<Tenants>(*this, policy, seed);
  }

  [[nodiscard]] std::uint64_t now_ms() const override { return now; }
  void set_alarm(std::uint64_t at_ms) override { alarm_at = at_ms; }
  Result<std::unique_ptr<Worker>> start_worker(const TenantId& tenant, const TenantConfig&,
                                               std::uint64_t generation) override {
    for (const auto& [pid, process] : processes) {
      if (process.tenant == tenant) fail_run("two writers of " + tenant.str());
    }
    std::uint64_t& last = last_generations[tenant];  // as the records say, over all supervisors
    if (generation <= last) fail_run("a generation of " + tenant.str() + " was given twice");
    last = generation;
    if (faulty && chance(5)) return fail(ErrorCode::internal, "fork failed");
    if (faulty && chance(2)) return fail(ErrorCode::layer_missing, "no seccomp");
    return std::unique_ptr<Worker>(new_worker(tenant, generation));
  }
  [[nodiscard]] std::uint64_t last_generation(const TenantId& tenant) const override {
    const auto found = last_generations.find(tenant);
    return found == last_generations.end() ? 0 : found->second;
  }
  void journal(EventType, const TenantId& tenant, pid_t, std::uint64_t generation,
               const std::string& detail) override {
    if (print_) {
      std::printf("%8llu %s/%llu %s\n", static_cast<unsigned long long>(now), tenant.str().c_str(),
                  static_cast<unsigned long long>(generation), detail.c_str());
    }
  }
  void worker_ready(const TenantId& tenant) override {
    const Tenant* const found = tenants->find(tenant);
    if (found == nullptr || found->phase != Phase::running) fail_run("ready but not running");
    waiting.erase(tenant);
  }
  void worker_unavailable(const TenantId& tenant, const Error&) override { waiting.erase(tenant); }
  void worker_gone(const TenantId&, const DeathCause*) override {}
  void rows_moved(const TenantId&, const RowsMoved&) override {}
  void impossible(const TenantId& tenant, const std::string& what) override {
    fail_run(tenant.str() + ": " + what);
  }

  [[nodiscard]] std::unique_ptr<FakeWorker> new_worker(const TenantId& tenant,
                                                       std::uint64_t generation) {
    const std::uint64_t pid = ++last_pid;
    Process process{tenant, generation, draw_fate()};
    if (process.fate.ready_after_ms != UINT64_MAX) {
      happenings.emplace(now + process.fate.ready_after_ms, std::pair{pid, Happening::ready});
    }
    if (process.fate.dies_after_ms != UINT64_MAX) {
      happenings.emplace(now + process.fate.dies_after_ms, std::pair{pid, Happening::died});
    }
    processes.emplace(pid, process);
    return std::make_unique<FakeWorker>(*this, pid, generation);
  }

  [[nodiscard]] Fate draw_fate() {
    Fate fate;
    fate.ready_after_ms = 1 + random() % 50;
    fate.dies_after_ms = UINT64_MAX;
    fate.drains_after_ms = random() % 300;
    if (!faulty) return fate;
    if (chance(10)) fate.ready_after_ms = chance(50) ? UINT64_MAX : 1500 + random() % 1000;
    if (chance(30)) fate.dies_after_ms = random() % (chance(50) ? 20 : 20'000);
    if (chance(10)) fate.drains_after_ms = UINT64_MAX;
    return fate;
  }

  void asked_to_drain(std::uint64_t pid) {
    const auto found = processes.find(pid);
    if (found == processes.end()) fail_run("drain of a dead worker");
    if (found->second.drain_asked || found->second.fate.drains_after_ms == UINT64_MAX) return;
    found->second.drain_asked = true;
    happenings.emplace(now + found->second.fate.drains_after_ms, std::pair{pid, Happening::died});
  }
  void killed(std::uint64_t pid) {
    const auto found = processes.find(pid);
    if (found == processes.end()) fail_run("kill of a dead worker");
    if (std::exchange(found->second.killed, true)) return;
    happenings.emplace(now + 1 + random() % 20, std::pair{pid, Happening::died});
  }

  void happen(std::uint64_t pid, Happening what) {
    const auto found = processes.find(pid);
    if (found == processes.end()) return;  // it died before
    const Process process = found->second;
    switch (what) {
      case Happening::ready:
        if (!process.killed) tenants->on_ready(process.tenant, process.generation);
        break;
      case Happening::registers:
        if (!process.killed) tenants->on_registered(process.tenant, process.generation);
        break;
      case Happening::died:
        processes.erase(found);
        tenants->on_died(process.tenant, process.generation, {DeathCause::Kind::signalled, 9}, "");
        break;
    }
  }

  // Advances to the next happening, alarm or `until_ms`, whichever comes first.
  void advance(std::uint64_t until_ms) {
    std::uint64_t next = until_ms;
    if (!happenings.empty()) next = std::min(next, happenings.begin()->first);
    if (alarm_at != 0) next = std::min(next, std::max(alarm_at, now));
    turns_at_once_ = next == now ? turns_at_once_ + 1 : 0;
    if (turns_at_once_ > 10'000) fail_run("a busy loop");
    now = std::max(now, next);
    if (alarm_at != 0 && alarm_at <= now) {
      alarm_at = 0;
      tenants->on_alarm();
    } else if (!happenings.empty() && happenings.begin()->first <= now) {
      const auto [pid, what] = happenings.begin()->second;
      happenings.erase(happenings.begin());
      happen(pid, what);
    }
    check();
  }
  void run_until(std::uint64_t until_ms) {
    while (now < until_ms) advance(until_ms);
  }

  void check() {
    if (tenants->starting() > policy.start_concurrency) fail_run("too many workers start at once");
    std::map<TenantId, int> writers;
    for (const auto& [pid, process] : processes) {
      if (++writers[process.tenant] > 1) fail_run("two writers of " + process.tenant.str());
    }
    std::size_t active = 0;
    for (const auto& [id, tenant] : tenants->all()) {
      if (has_process(tenant.phase) != (tenant.worker != nullptr)) {
        fail_run(id.str() + ": " + std::string(phase_name(tenant.phase)) +
                 " and its worker disagree");
      }
      active += tenant.phase != Phase::sleeping && tenant.phase != Phase::quarantined &&
                        tenant.phase != Phase::refused
                    ? 1
                    : 0;
    }
    if (active > policy.max_workers) fail_run("more active tenants than max_workers");
    for (const auto& [pid, process] : processes) {
      if (tenants->find(process.tenant) == nullptr) fail_run("a process that no tenant owns");
    }
  }

  [[nodiscard]] bool chance(unsigned percent) { return random() % 100 < percent; }
  [[noreturn]] void fail_run(const std::string& what) const { violated(seed_, now, what); }

  std::mt19937_64 random;
  TenantPolicy policy;
  std::unique_ptr<Tenants> tenants;
  std::uint64_t now = 1000;
  std::uint64_t alarm_at = 0;
  std::uint64_t last_pid = 0;
  bool faulty = true;
  std::map<std::uint64_t, Process> processes;
  std::map<TenantId, std::uint64_t> last_generations;
  std::multimap<std::uint64_t, std::pair<std::uint64_t, Happening>> happenings;
  std::set<TenantId> waiting;

 private:
  std::uint64_t seed_;
  bool print_;
  std::uint64_t turns_at_once_ = 0;
};

void FakeWorker::drain(DrainReason, std::uint32_t) { world_.asked_to_drain(process_); }
void FakeWorker::kill() { world_.killed(process_); }

TenantId numbered(std::uint64_t number) {
  std::string name("tenant-");
  name.append(std::to_string(number));
  return TenantId::parse(name).value();
}

TenantConfig file_of(World& world, const TenantId& id) {
  TenantConfig config;
  config.id = id.str();
  config.plan = Plan::premium;
  config.isolation_level = IsolationLevel::process;
  config.start = world.chance(70) ? StartMode::eager : StartMode::on_demand;
  config.router.dimension = world.chance(80) ? 384 : 768;  // a change needs a new worker
  config.router.threshold = world.chance(50) ? 0.5 : 0.25;
  config.router.encoder = "hash";
  return config;
}

void survivors_of_an_earlier_supervisor(World& world, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!world.chance(40)) continue;
    const TenantId id = numbered(i);
    auto worker = world.new_worker(id, 1 + world.random() % 5);
    if (world.chance(80)) {
      world.happenings.emplace(world.now + world.random() % 3000,
                               std::pair{world.last_pid, Happening::registers});
    }
    world.tenants->expect_survivor(id, std::move(worker));
  }
}

void disturb(World& world, std::uint64_t count, std::set<TenantId>& with_file) {
  const TenantId id = numbered(world.random() % count);
  switch (world.random() % 10) {
    case 0:
    case 1:
    case 2:
      world.tenants->apply_file(id, file_of(world, id));
      with_file.insert(id);
      break;
    case 3:
      world.tenants->reject_file(id, "line 3: nonsense");
      break;
    case 4:
      world.tenants->remove_file(id);
      with_file.erase(id);
      break;
    case 5:
      (void)world.tenants->restart(id);
      break;
    case 6: {
      const auto readiness = world.tenants->request_worker(id);
      if (readiness && *readiness == Tenants::Readiness::wait) world.waiting.insert(id);
      break;
    }
    case 7:
      (void)world.tenants->begin_sweep(id);
      break;
    case 8:
      (void)world.tenants->end_sweep(id);
      break;
    default:
      if (!world.processes.empty()) {
        const Process process = world.processes.begin()->second;
        world.tenants->on_misbehaved(process.tenant, process.generation, "a flood of messages");
      }
      break;
  }
  world.check();
}

void simulate(std::uint64_t seed, bool print) {
  static constexpr std::uint64_t tenants = 10;
  World world(seed, print);
  std::set<TenantId> with_file;
  survivors_of_an_earlier_supervisor(world, tenants);
  for (int step = 0; step < 400; ++step) {
    world.run_until(world.now + world.random() % 400);
    disturb(world, tenants, with_file);
  }
  // Faults end, and those born with a bad fate live it out. Then whatever was refused or
  // quarantined gets a changed file, and everything runs.
  world.faulty = false;
  world.run_until(world.now + 30'000);
  for (std::uint64_t i = 0; i < tenants; ++i) {
    const TenantId id = numbered(i);
    TenantConfig config = file_of(world, id);
    config.limits.max_routes = static_cast<std::uint32_t>(1000 + i);
    config.start = StartMode::eager;
    world.tenants->apply_file(id, std::move(config));
  }
  world.run_until(world.now + 120'000);
  for (std::uint64_t i = 0; i < tenants; ++i) {
    const Tenant* const tenant = world.tenants->find(numbered(i));
    if (tenant == nullptr) world.fail_run("a tenant with a good file is gone");
    if (tenant->phase != Phase::running) {
      world.fail_run(tenant->id.str() + " does not run but is " +
                     std::string(phase_name(tenant->phase)) + ": " + tenant->reason);
    }
  }
  if (!world.waiting.empty()) world.fail_run("a client waits for ever");
  if (world.alarm_at != 0) world.fail_run("an alarm is set though nothing is to be done");
  world.tenants->shutdown();
  world.run_until(world.now + 10'000);
  if (!world.tenants->shut_down() || !world.processes.empty()) {
    world.fail_run("processes are left after the shutdown");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed =
      argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device{}();
  const std::uint64_t runs = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : argc > 1 ? 1 : 300;
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(seed + runs - 1));
  (void)std::fflush(stdout);
  for (std::uint64_t i = 0; i < runs; ++i) simulate(seed + i, argc == 2);
  std::printf("%llu runs, no invariant violated\n", static_cast<unsigned long long>(runs));
  return 0;
}
