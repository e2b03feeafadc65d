#include "supervisor/process/live_worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "supervisor/config/diagnostics.h"

namespace tenantd {
namespace {

// What tenantd-network said before it closed the barrier: it is in the pipe when the worker ends.
std::string network_reason(int pipe) {
  std::string text(512, '\0');
  const ssize_t got = pipe < 0 ? 0 : ::read(pipe, text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  text.resize(std::min(text.find('\n'), text.size()));
  return text.empty() ? text : "network: " + printable(text, 300);
}

}  // namespace

std::uint64_t open_files_limit(std::uint32_t max_attachments) noexcept {
  static constexpr std::uint64_t files_per_attachment = 6;
  static constexpr std::uint64_t own_files = 128;
  return own_files + files_per_attachment * max_attachments;
}

std::uint64_t file_size_limit_bytes(std::uint64_t max_storage_bytes) noexcept {
  static constexpr std::uint64_t log_bytes = 64ULL << 20U;
  return max_storage_bytes == 0 ? 0 : max_storage_bytes + log_bytes;
}

LiveWorker::LiveWorker(const WorkerServices& services, RunRecord record)
    : services_(services), record_(std::move(record)) {}

Result<std::unique_ptr<LiveWorker>> LiveWorker::launched(const WorkerServices& services,
                                                         RunRecord record,
                                                         LaunchedProcess process) {
  std::unique_ptr<LiveWorker> worker(new LiveWorker(services, std::move(record)));
  worker->network_report_ = std::move(process.network.report);
  const Status watched =
      worker->watch(std::move(process.pidfd), std::move(process.link), std::move(process.log));
  if (!watched) return tl::unexpected(watched.error());
  return worker;
}

Result<std::unique_ptr<LiveWorker>> LiveWorker::survivor(const WorkerServices& services,
                                                         RunRecord record, UniqueFd pidfd) {
  std::unique_ptr<LiveWorker> worker(new LiveWorker(services, std::move(record)));
  worker->reported_ = true;  // to an earlier supervisor
  const Status watched = worker->watch(std::move(pidfd), UniqueFd(), UniqueFd());
  if (!watched) return tl::unexpected(watched.error());
  return worker;
}

Status LiveWorker::watch(UniqueFd pidfd, UniqueFd link, UniqueFd log) {
  if (const auto usage = services_.cgroups.usage(cgroup())) oom_kills_before_ = usage->oom_kills;
  ProgramCallbacks callbacks;
  callbacks.on_message = [this](std::span<const std::byte> packet) { on_message(packet); };
  callbacks.on_link_ended = [this](bool flooded) {
    misbehaved(flooded ? "it flooded its link" : "it closed its link");
  };
  callbacks.on_line = [this](std::string_view line, std::uint64_t suppressed) {
    services_.on_line(record_.tenant, record_.pid, record_.generation, line, suppressed);
  };
  callbacks.on_died = [this](const DeathCause& cause) { on_died(cause); };
  auto process =
      ProgramProcess::watch(services_.loop, record_.pid, std::move(pidfd), std::move(link),
                            std::move(log), services_.bounds, std::move(callbacks));
  if (!process) return tl::unexpected(process.error());
  process_ = std::move(*process);
  return {};
}

Status LiveWorker::connect(UniqueFd link) {
  auto log = process_->connect(std::move(link));
  if (!log) return tl::unexpected(log.error());
  (void)process_->send(make_link_message<Adopted>(record_.generation));
  (void)process_->send(make_link_message<LogPipe>(record_.generation), std::move(*log));
  return {};
}

void LiveWorker::misbehaved(const std::string& how) {
  services_.events->on_misbehaved(record_.tenant, record_.generation, how);
}

void LiveWorker::on_message(std::span<const std::byte> packet) {
  LinkHeader header;
  if (packet.size() < sizeof header) return misbehaved("it sent a malformed message");
  std::memcpy(static_cast<void*>(&header), packet.data(), sizeof header);
  if (header.generation != record_.generation) return;  // the contract: not ours to hear
  switch (header.kind) {
    case LinkKind::confinement_report: {
      ConfinementReport report;
      if (!parse_link_message(packet, report) || !report.reason.valid()) break;
      if (std::exchange(reported_, true)) return misbehaved("it reported its confinement again");
      return on_confinement(report);
    }
    case LinkKind::ready: {
      Ready ready;
      if (!parse_link_message(packet, ready)) break;
      return services_.events->on_ready(record_.tenant, record_.generation);
    }
    case LinkKind::worker_status: {
      WorkerStatus status;
      if (!parse_link_message(packet, status) || !status.store_reason.valid() ||
          status.store_state > StoreState::degraded) {
        break;
      }
      return services_.events->on_status(record_.tenant, record_.generation, status);
    }
    case LinkKind::rows_moved: {
      RowsMoved moved;
      if (!parse_link_message(packet, moved) || !moved.tenant_id.valid() || !moved.reason.valid() ||
          moved.done > 1) {
        break;
      }
      return services_.events->on_rows_moved(record_.tenant, record_.generation, moved);
    }
    case LinkKind::drained: {
      Drained drained;
      if (!parse_link_message(packet, drained)) break;
      return;  // its death follows
    }
    default:
      break;
  }
  misbehaved("it sent a malformed message");
}

// The jail's word, from before the program ran; what comes later is the worker's and is not taken.
void LiveWorker::on_confinement(const ConfinementReport& report) {
  record_.applied = LayerSet(report.applied_layers);
  // What the supervisor could not give (a uid, cgroups) the jail does not look for.
  record_.missing = LayerSet(record_.missing.bits() | report.missing_layers);
  failure_ = report.reason.view();
  (void)services_.records.write(record_);
}

void LiveWorker::on_died(DeathCause cause) {
  const bool may_be_oom = cause.kind == DeathCause::Kind::unknown ||
                          (cause.kind == DeathCause::Kind::signalled && cause.value == SIGKILL);
  if (may_be_oom) {
    const auto usage = services_.cgroups.usage(cgroup());
    if (usage && usage->oom_kills > oom_kills_before_) {
      cause = {DeathCause::Kind::out_of_memory, 0, usage->memory_peak_bytes};
    }
  }
  services_.records.end(record_);
  services_.reaper.reap(cgroup());
  if (services_.on_ended) services_.on_ended(record_.tenant, record_.generation);
  // A failed layer explains the death only if the jail ended with it, and a failed network only if
  // the jail never ran.
  const auto ended_with = [&cause](ExitCode code) {
    return cause.kind == DeathCause::Kind::exited && cause.value == static_cast<int>(code);
  };
  std::string detail;
  if (ended_with(ExitCode::confinement)) detail = failure_;
  if (ended_with(ExitCode::barrier_closed)) detail = network_reason(network_report_.get());
  const TenantId tenant = record_.tenant;
  services_.events->on_died(tenant, record_.generation, cause, detail);  // destroys this
}

bool LiveWorker::outdated_by(const TenantConfig& config) const {
  return record_.fingerprint != worker_fingerprint(config) ||
         !services_.physical.still_set_aside(record_.allotment);
}

WorkerUsage LiveWorker::usage() const {
  WorkerUsage out;
  const auto usage = services_.cgroups.usage(cgroup());
  if (!usage) return out;
  out.has_memory = usage->has_memory;
  out.memory_bytes = usage->memory_bytes;
  out.memory_peak_bytes = usage->memory_peak_bytes;
  out.cpu_usage_us = usage->cpu_us;
  out.throttled_us = usage->throttled_us;
  out.throttled_periods = usage->throttled_periods;
  out.memory_high_events = usage->memory_high_events;
  out.memory_pressure = usage->memory_pressure;
  out.cpu_pressure = usage->cpu_pressure;
  const CgroupAbilities abilities = services_.cgroups.abilities();
  out.enforces_memory_high = abilities.memory_high;
  out.enforces_io_weight = abilities.io_weight;
  out.pids_now = static_cast<std::uint32_t>(std::min<std::uint64_t>(usage->pids, UINT32_MAX));
  return out;
}

void LiveWorker::drain(DrainReason reason, std::uint32_t timeout_ms) {
  auto message = make_link_message<Drain>(record_.generation);
  message.reason = reason;
  message.timeout_ms = timeout_ms;
  (void)process_->send(message);  // a worker that cannot be told is killed at the deadline
}

Status LiveWorker::attach_tenant(const TenantSettings& settings, Attach attach, UniqueFd socket) {
  auto message = make_link_message<Settings>(record_.generation);
  message.settings = settings;
  if (Status sent = process_->send(message); !sent) return sent;
  return this->attach(attach, std::move(socket));
}

// Without a link it is told nothing: it learns what counts when it registers.
template <class T>
void LiveWorker::tell(const T& message) {
  if (process_->linked() && !process_->send(message)) misbehaved("it does not read its link");
}

// A sleeping worker's tenants learn it with their next attachment.
void LiveWorker::update_tenant(const TenantSettings& settings) {
  auto message = make_link_message<Settings>(record_.generation);
  message.settings = settings;
  tell(message);
}

void LiveWorker::release_tenant(const TenantId& tenant, DrainReason reason) {
  auto message = make_link_message<ReleaseTenant>(record_.generation);
  message.reason = reason;
  (void)message.tenant_id.assign(tenant.view());  // a TenantId fits
  tell(message);
}

void LiveWorker::move_rows(const TenantId& tenant, std::uint32_t from, std::uint32_t to) {
  auto message = make_link_message<MoveRows>(record_.generation);
  (void)message.tenant_id.assign(tenant.view());  // a TenantId fits
  message.from = from;
  message.to = to;
  tell(message);
}

void LiveWorker::update_settings(const TenantSettings& settings) {
  auto message = make_link_message<Settings>(record_.generation);
  message.settings = settings;
  if (!process_->linked()) return;  // sent again when it registers
  // Our unreaped child or a process whose death we have not heard of: the pid is still its own.
  // Best effort: without it the old, lower bound holds on.
  const rlimit files{open_files_limit(settings.max_attachments),
                     open_files_limit(settings.max_attachments)};
  (void)::prlimit(record_.pid, RLIMIT_NOFILE, &files, nullptr);
  const std::uint64_t bytes = file_size_limit_bytes(settings.max_storage_bytes);
  const rlimit file_size{bytes == 0 ? RLIM_INFINITY : bytes, bytes == 0 ? RLIM_INFINITY : bytes};
  (void)::prlimit(record_.pid, RLIMIT_FSIZE, &file_size, nullptr);
  if (!process_->send(message)) misbehaved("it does not read its link");
}

Status LiveWorker::apply_limits(const ResourceLimits& limits) {
  if (services_.cgroups.mode() == CgroupMode::none) return {};
  return services_.cgroups.apply(cgroup(), limits);
}

Status LiveWorker::attach(Attach attach, UniqueFd socket) {
  attach.header.generation = record_.generation;
  return process_->send(attach, std::move(socket));
}

void LiveWorker::request_status() {
  (void)process_->send(make_link_message<StatusRequest>(record_.generation));
}

}  // namespace tenantd
