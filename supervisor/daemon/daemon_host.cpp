// What the daemon does for the tenants, the broker and control: the callbacks of its interfaces.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "shared/base/clock.h"
#include "supervisor/config/diagnostics.h"
#include "supervisor/config/reserved_id.h"
#include "supervisor/daemon/daemon.h"
#include "supervisor/daemon/event_words.h"
#include "supervisor/physical/affinity.h"

namespace tenantd {
namespace {

bool has_data(const std::string& state_dir, const TenantId& tenant, const TenantConfig& config) {
  const std::string data =
      config.pool ? pool_directory_path(state_dir, tenant) : data_directory_path(state_dir, tenant);
  return ::access(data.c_str(), F_OK) == 0;
}

}  // namespace

std::uint64_t Daemon::now_ms() const { return monotonic_ns() / 1'000'000; }

void Daemon::set_alarm(std::uint64_t at_ms) {
  finish_if_done();
  if (at_ms == 0) return alarm_.stop();
  const std::uint64_t now = now_ms();
  alarm_.start(at_ms - std::min(now, at_ms), [this] { tenants_.on_alarm(); });
}

Result<std::unique_ptr<Worker>> Daemon::start_worker(const TenantId& tenant,
                                                     const TenantConfig& config,
                                                     std::uint64_t generation) {
  const bool is_new = !has_data(parts_.paths.state_dir, tenant, config);
  // Before Linux 6.2 a change of any cpuset above, a partition that ends for example, gives a
  // process all CPUs again: ours would be those of what we start.
  const CpuSet& shared = parts_.physical.set_aside().shared;
  if (!shared.empty()) (void)set_thread_cpus(0, shared);
  auto worker = workforce_.start(tenant, config, generation);
  if (!worker) check_allotments();
  if (worker && is_new) verifier_.onboard(tenant);
  return worker;
}

std::uint64_t Daemon::last_generation(const TenantId& tenant) const {
  return workforce_.last_generation(tenant);
}

SleeperSweep::Services Daemon::sweep_services() {
  return {[this] { return now_ms(); }, [] { return wall_clock_ms() / 1000; },
          [this](const Tenant& tenant) {
            return has_data(parts_.paths.state_dir, tenant.id, *tenant.config);
          },
          [this](bool problem, const std::string& message, const TenantId& tenant) {
            parts_.log.write(problem ? LogLevel::warn : LogLevel::info, message,
                             {.tenant = tenant.view()});
          }};
}

void Daemon::sweep_sleepers() {
  sleepers_timer_.start(sleepers_.run(), [this] { sweep_sleepers(); });
}

void Daemon::journal(EventType type, const TenantId& tenant, pid_t pid, std::uint64_t generation,
                     const std::string& detail) {
  tell(type, tenant.view(), pid, generation, detail);
  if (type == EventType::worker_ready) {
    run_hook(tenant, &PhysicalConfig::on_start_path, generation);
    verifier_.on_worker_ready();
  }
  const bool ended = type == EventType::worker_stopped || type == EventType::worker_died;
  // Without a pid no worker was there: it could not be started.
  if (ended && pid != 0) run_hook(tenant, &PhysicalConfig::on_stop_path, generation);
}

void Daemon::run_hook(const TenantId& tenant, std::string PhysicalConfig::*program,
                      std::uint64_t generation) {
  const Tenant* const found = tenants_.find(tenant);
  if (found == nullptr || found->config == nullptr) return;
  const bool starts = program == &PhysicalConfig::on_start_path;
  hooks_.run({found->config->physical.*program,
              starts ? "on_start" : "on_stop",
              tenant.str(),
              generation,
              {}});
}

// They died while there was no supervisor.
void Daemon::run_missed_hooks() {
  for (const auto& [tenant, generation] : workforce_.take_unseen_ends()) {
    run_hook(tenant, &PhysicalConfig::on_stop_path, generation);
  }
}

void Daemon::on_hook(bool problem, const std::string& message, std::string_view tenant) {
  if (problem) return tell(EventType::hook_failed, tenant, 0, 0, message);
  parts_.log.info(message, {.tenant = tenant});
}

void Daemon::tell(EventType type, std::string_view tenant, pid_t pid, std::uint64_t generation,
                  const std::string& detail) {
  std::string message(name_of(type));
  if (!detail.empty()) message += ": " + detail;
  parts_.log.write(level_of(type), message,
                   {.tenant = tenant, .pid = pid, .generation = generation});
  auto event = make_link_message<Event>(0);
  event.wall_ms = wall_clock_ms();
  event.type = type;
  event.pid = pid;
  event.worker_generation = generation;
  event.tenant_id.assign_truncated(tenant);
  event.detail.assign_truncated(detail);
  control_.send_event(event);
}

void Daemon::on_worker_line(const TenantId& tenant, pid_t pid, std::uint64_t generation,
                            std::string_view line, std::uint64_t suppressed) {
  parts_.log.info(line, {.tenant = tenant.view(),
                         .pid = pid,
                         .generation = generation,
                         .suppressed = suppressed,
                         .source = "worker"});
  auto message = make_link_message<LogLine>(0);
  message.wall_ms = wall_clock_ms();
  message.worker_generation = generation;
  message.tenant_id.assign_truncated(tenant.view());
  message.text.assign_truncated(line);
  message.suppressed_before = suppressed;
  control_.send_line(message);
}

void Daemon::worker_ready(const TenantId& tenant) {
  if (is_reserved_id(tenant.view()) && !stopping_)
    pool_timer_.start(0, [this] { reconcile_pool(); });
  if (!is_reserved_id(tenant.view())) return broker_.flush(tenant);
  for (const TenantId& id : tenants_of(tenant, broker_.waiting_tenants())) broker_.flush(id);
}

void Daemon::worker_unavailable(const TenantId& tenant, const Error& error) {
  check_allotments();
  if (!is_reserved_id(tenant.view())) return broker_.refuse_waiting(tenant, error);
  for (const TenantId& id : tenants_of(tenant, broker_.waiting_tenants())) {
    Error about = error;
    about.tenant = id.str();
    broker_.refuse_waiting(id, about);
  }
}

void Daemon::impossible(const TenantId& tenant, const std::string& what) {
  parts_.log.error("bug: " + what, {.tenant = tenant.view()});
}

const AccessConfig* Daemon::access_of(const TenantId& tenant) {
  if (is_reserved_id(tenant.view())) return nullptr;  // nobody is a client of a pooled worker
  if (const PooledTenant* const pooled = pooled_.find(tenant)) return &pooled->access;
  const Tenant* const found = tenants_.find(tenant);
  const bool exists =
      found != nullptr && found->config != nullptr && found->phase != Phase::stopping;
  return exists ? &found->config->access : nullptr;
}

Result<AttachTargets::Readiness> Daemon::request_worker(const TenantId& tenant) {
  const PooledTenant* const pooled = pooled_.find(tenant);
  if (pooled != nullptr && pooled->deaths > 1) {
    Error error;
    error.code = ErrorCode::quarantined;
    error.message = PooledTenants::quarantine_reason(*pooled);
    error.tenant = tenant.str();
    error.hint = "tenantctl tenant restart " + tenant.str();
    return tl::unexpected(std::move(error));
  }
  const auto readiness =
      pooled != nullptr ? pool_workers_.request(tenant) : tenants_.request_worker(tenant);
  if (!readiness) return tl::unexpected(readiness.error());
  return *readiness == Tenants::Readiness::now ? Readiness::now : Readiness::wait;
}

Status Daemon::hand_to_worker(const TenantId& tenant, Attach attach, UniqueFd socket) {
  const PooledTenant* const pooled = pooled_.find(tenant);
  const Tenant* const found =
      pooled != nullptr ? pool_workers_.entry_of(tenant) : tenants_.find(tenant);
  if (found == nullptr || found->phase != Phase::running ||
      (pooled != nullptr && pool_workers_.holder_of(tenant) != found->worker.get())) {
    return fail(ErrorCode::unavailable, "the worker does not run");
  }
  if (pooled != nullptr) {
    if (!pooled->used) {
      if (const Status noted = members_.add(tenant); !noted) return noted;
      pooled_.note_use(tenant);
    }
    return found->worker->attach_tenant(pooled->settings, attach, std::move(socket));
  }
  return found->worker->attach(attach, std::move(socket));
}

Status Daemon::hand_to_control(Attach attach, UniqueFd socket) {
  return control_.attach(attach, std::move(socket));
}

LiveWorker* Daemon::unregistered_worker(const Tenant& tenant) {
  auto* const worker = dynamic_cast<LiveWorker*>(tenant.worker.get());
  const bool expected = worker != nullptr && !worker->linked() &&
                        (tenant.phase == Phase::adopting || tenant.phase == Phase::stopping);
  return expected ? worker : nullptr;
}

bool Daemon::is_awaited(const PeerCredentials& peer) const {
  return std::any_of(tenants_.all().begin(), tenants_.all().end(), [&peer](const auto& entry) {
    const LiveWorker* const worker = unregistered_worker(entry.second);
    return worker != nullptr && worker->pid() == peer.pid && worker->uid() == peer.uid;
  });
}

// The peer's pid and uid are the kernel's word; the record, the pidfd and the cgroup were checked
// at the start.
bool Daemon::register_worker(const PeerCredentials& peer, const WorkerHello& hello,
                             UniqueFd& socket) {
  const auto id = TenantId::parse(hello.tenant_id.view());
  const Tenant* const tenant = id ? tenants_.find(*id) : nullptr;
  LiveWorker* const worker = tenant != nullptr ? unregistered_worker(*tenant) : nullptr;
  if (worker == nullptr || peer.pid != worker->pid() || peer.uid != worker->uid() ||
      hello.header.generation != worker->generation()) {
    parts_.log.warning("refused a process that wanted to register as a worker",
                       {.tenant = id ? id->view() : std::string_view(), .pid = peer.pid});
    return false;
  }
  if (Status connected = worker->connect(std::move(socket)); !connected) {
    parts_.log.warning("adoption: " + connected.error().describe(), {.tenant = id->view()});
    return false;
  }
  tenants_.on_registered(*id, hello.header.generation);
  if (is_reserved_id(id->view())) {
    adopted_pool_workers_.push_back(*id);
    if (clients_) release_unknown(false);
  }
  return true;
}

// Those with a file: pooled workers are not counted.
std::size_t Daemon::known_tenants() const {
  const auto own = std::count_if(tenants_.all().begin(), tenants_.all().end(),
                                 [](const auto& one) { return !is_reserved_id(one.first.view()); });
  return pooled_.all().size() + static_cast<std::size_t>(own);
}

std::size_t Daemon::running_tenants() const {
  const auto own = std::count_if(tenants_.all().begin(), tenants_.all().end(), [](const auto& one) {
    return one.second.phase == Phase::running && !is_reserved_id(one.first.view());
  });
  return pooled_.served() + static_cast<std::size_t>(own);
}

LayerSet Daemon::missing_layers() const {
  return LayerSet::all().without(parts_.launcher.host().available);
}

DaemonRecord Daemon::daemon_record() const {
  DaemonRecord record;
  record.tenants = known_tenants();
  record.running = running_tenants();
  record.uptime_ms = now_ms() - started_ms_;
  record.hellos = counters_.hellos;
  record.hellos_accepted = counters_.accepted;
  record.hellos_malformed = counters_.malformed;
  record.hellos_unknown_tenant = counters_.unknown_tenant;
  record.hellos_denied = counters_.denied;
  record.hellos_late = counters_.late;
  record.hellos_overload = counters_.overload;
  record.pending_removals = directory_.held_removals();
  record.verifications = verified_.runs;
  record.verifications_failed = verified_.failed;
  record.isolation_violations = verified_.violations;
  record.last_verification_ms = verified_.last_ms;
  record.pid = ::getpid();
  record.cgroup_mode = static_cast<std::uint32_t>(parts_.cgroups.mode());
  record.cgroup_writer.assign_truncated(parts_.cgroups.abilities().written_by);
  record.privileged = parts_.launcher.host().privileged ? 1 : 0;
  record.missing_layers = missing_layers().bits();
  record.landlock_abi = parts_.launcher.host().landlock_abi;
  const PhysicalHost& physical = parts_.physical;
  record.cpu_partition = physical.abilities().partition ? 1 : 0;
  record.set_aside_cpus.assign_truncated(physical.set_aside().dedicated.str());
  record.dedicated_cpus.assign_truncated(physical.used_cpus().str());
  record.set_aside_memory_bytes = physical.set_aside().memory_bytes;
  record.guaranteed_memory_bytes = physical.guaranteed_bytes();
  (void)record.version.assign(TENANTD_VERSION);
  std::string warning = directory_.problem();
  if (warning.empty() && parts_.log.dropped() + control_.lines_dropped() > 0) {
    warning = "log lines lost: " + std::to_string(parts_.log.dropped() + control_.lines_dropped());
  }
  record.warning.assign_truncated(warning);
  return record;
}

Result<PostureRecord> Daemon::posture_of(const Tenant& tenant) const {
  auto live = look_at_worker(tenant, workforce_, parts_.cgroups, parts_.config.tolerated_layers());
  if (!live) return tl::unexpected(live.error());
  for (const auto& [id, other] : tenants_.all()) {
    if (!other.worker || id == tenant.id) continue;
    for (std::string& line : shared_with(live->posture, *tenant.worker, other)) {
      live->deviations.push_back(std::move(line));
    }
  }
  auto record = make_link_message<PostureRecord>(0);
  fill_posture_record(live->posture, live->deviations, record);
  return record;
}

void Daemon::on_verified(const VerifyReport& report, std::string_view why) {
  const auto failures = report.failures();
  ++verified_.runs;
  verified_.failed += failures.empty() ? 0 : 1;
  verified_.violations += failures.size();
  verified_.last_ms = wall_clock_ms();
  std::string detail =
      std::string(why) + ": " + std::to_string(report.count(ProbeOutcome::passed)) + " passed, " +
      std::to_string(failures.size()) + " failed, " +
      std::to_string(report.count(ProbeOutcome::not_promised)) + " not promised, " +
      std::to_string(report.count(ProbeOutcome::not_applicable)) + " not applicable";
  for (const std::string_view name : failures) {
    detail += name == failures.front() ? ": " : ", ";
    detail += name;
  }
  const Tenant* const tenant = tenants_.find(report.tenant);
  const pid_t pid = tenant != nullptr && tenant->worker ? tenant->worker->pid() : 0;
  tell(failures.empty() ? EventType::isolation_verified : EventType::isolation_violated,
       report.tenant.view(), pid, tenant != nullptr ? tenant->generation : 0, detail);
  if (failures.empty()) return;
  violation_hook_.run({parts_.config.verify.on_violation,
                       "on_violation",
                       report.tenant.str(),
                       0,
                       {failures.begin(), failures.end()}});
}

}  // namespace tenantd
