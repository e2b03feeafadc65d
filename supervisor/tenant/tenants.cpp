#include "supervisor/tenant/tenants.h"

#include <algorithm>
#include <utility>

namespace tenantd {
namespace {

bool counts_as_active(Phase phase) noexcept {
  return phase != Phase::sleeping && phase != Phase::quarantined && phase != Phase::refused;
}

}  // namespace

TenantPolicy TenantPolicy::from(const DaemonConfig& config) {
  TenantPolicy policy;
  policy.max_workers = config.max_workers;
  policy.start_concurrency = config.start_concurrency;
  policy.start_timeout_ms = config.start_timeout_ms;
  policy.drain_timeout_ms = config.drain_timeout_ms;
  policy.restart = config.restart;
  return policy;
}

Tenants::Tenants(TenantHost& host, const TenantPolicy& policy, std::uint64_t seed)
    : host_(host), policy_(policy), random_(seed) {}

const Tenant* Tenants::find(const TenantId& id) const {
  const auto found = tenants_.find(id);
  return found == tenants_.end() ? nullptr : &found->second;
}

Tenant* Tenants::lookup(const TenantId& id) {
  const auto found = tenants_.find(id);
  return found == tenants_.end() ? nullptr : &found->second;
}

Tenant* Tenants::lookup_run(const TenantId& id, std::uint64_t generation) {
  Tenant* const tenant = lookup(id);
  return tenant != nullptr && tenant->worker != nullptr && tenant->generation == generation
             ? tenant
             : nullptr;
}

std::size_t Tenants::active() const noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_as_active(static_cast<Phase>(i))) count += counts_[i];
  }
  return count;
}

void Tenants::journal(const Tenant& tenant, EventType type, const std::string& detail) {
  host_.journal(type, tenant.id, tenant.worker ? tenant.worker->pid() : 0, tenant.generation,
                detail);
}

// ---- the table's machinery

void Tenants::raise(const TenantId& id, TenantEvent event) {
  events_.emplace_back(id, event);
  if (stepping_) return;
  stepping_ = true;
  while (!events_.empty()) {
    const auto [tenant, next] = std::move(events_.front());
    events_.pop_front();
    step(tenant, next);
  }
  stepping_ = false;
  arm_alarm();
}

void Tenants::step(const TenantId& id, TenantEvent event) {
  Tenant* const tenant = lookup(id);
  if (tenant == nullptr) return;
  const Phase before = tenant->phase;
  if (event == TenantEvent::wake && before == Phase::sleeping && active() >= policy_.max_workers) {
    return hold_back(*tenant);
  }
  const Transition cell = transition(before, event);
  if (cell.action == Action::never) {
    std::string what = "event '";
    what.append(event_name(event)).append("' in phase '").append(phase_name(before)).append("'");
    return host_.impossible(id, what);
  }
  enter(*tenant, cell.next);
  perform(*tenant, cell.action);
  if (counts_as_active(before)) wake_held_back();
}

void Tenants::enter(Tenant& tenant, Phase phase) {
  if (tenant.phase == phase) return;
  --counts_[index(tenant.phase)];
  tenant.phase = phase;
  ++counts_[index(phase)];
  if (phase != Phase::sleeping) tenant.held_back = false;
}

void Tenants::perform(Tenant& tenant, Action action) {
  switch (action) {
    case Action::ignore:
    case Action::never:
    case Action::keep_going:
      return;
    case Action::enqueue_fresh:
      tenant.restarts.reset();
      [[fallthrough]];
    case Action::enqueue:
      set_deadline(tenant, 0);
      if (tenant.config == nullptr) return raise(tenant.id, TenantEvent::host_refuses);
      tenant.reason = "waits for its turn to start";
      start_queue_.push_back(tenant.id);
      return;
    case Action::rest_fresh:
      tenant.restarts.reset();
      tenant.reason.clear();
      set_deadline(tenant, 0);
      return wake_if_wanted(tenant, tenant.config && tenant.config->start == StartMode::eager);
    case Action::spawn:
      return spawn(tenant);
    case Action::accept_ready:
      return accept_ready(tenant);
    case Action::drain_replaced:
      return drain(tenant, DrainReason::replaced);
    case Action::drain_restarting:
      tenant.restarts.reset();
      return drain(tenant, DrainReason::restarting);
    case Action::drain_removed:
      return drain(tenant, DrainReason::removed);
    case Action::drain_stopping:
      return drain(tenant, DrainReason::stopping);
    case Action::kill:
      return kill(tenant);
    case Action::wait_backoff:
      return wait_backoff(tenant);
    case Action::quarantine:
      return quarantine(tenant);
    case Action::refuse:
      set_deadline(tenant, 0);
      if (tenant.config == nullptr) tenant.reason = "its file has never been valid";
      return host_.worker_unavailable(tenant.id, unavailable(tenant));
    case Action::adopt:
      return adopt(tenant);
    case Action::adopt_removed:
      adopt(tenant);
      return drain(tenant, DrainReason::removed);
    case Action::forget: {
      set_deadline(tenant, 0);
      const TenantId id = tenant.id;
      --counts_[index(tenant.phase)];
      host_.worker_unavailable(id, unavailable(tenant));
      tenants_.erase(id);
      return;
    }
  }
}

// ---- starting

void Tenants::wake_if_wanted(Tenant& tenant, bool wanted) {
  if (!wanted || tenant.phase != Phase::sleeping) return;
  raise(tenant.id, TenantEvent::wake);
}

void Tenants::wake_held_back() {
  if (shutting_down_) return;
  std::size_t room = policy_.max_workers - std::min<std::size_t>(active(), policy_.max_workers);
  while (!held_back_.empty() && room > 0) {
    const TenantId id = held_back_.front();
    held_back_.pop_front();
    Tenant* const tenant = lookup(id);
    if (tenant == nullptr || !std::exchange(tenant->held_back, false)) continue;
    raise(id, TenantEvent::wake);  // its step checks the bound again
    --room;
  }
}

void Tenants::hold_back(Tenant& tenant) {
  if (!std::exchange(tenant.held_back, true)) held_back_.push_back(tenant.id);
  tenant.reason = "max_workers (" + std::to_string(policy_.max_workers) + ") are there already";
}

bool Tenants::slot_free() const noexcept {
  return !start_queue_.empty() && starting() < policy_.start_concurrency;
}

void Tenants::grant_slot() {
  while (slot_free()) {
    const TenantId id = start_queue_.front();
    start_queue_.pop_front();
    const Tenant* const tenant = find(id);
    if (tenant == nullptr || tenant->phase != Phase::queued) continue;
    return raise(id, TenantEvent::slot);
  }
}

Result<Tenants::Readiness> Tenants::request_worker(const TenantId& id) {
  Tenant* const tenant = lookup(id);
  if (tenant == nullptr || tenant->config == nullptr) {
    return fail(ErrorCode::not_found, "no such tenant");
  }
  tenant->for_sweep = false;
  switch (tenant->phase) {
    case Phase::running:
      return Readiness::now;
    case Phase::sleeping:
      if (active() >= policy_.max_workers) return tl::unexpected(unavailable(*tenant));
      raise(id, TenantEvent::wake);
      return Readiness::wait;
    case Phase::resting:
      raise(id, TenantEvent::wake);
      return Readiness::wait;
    case Phase::queued:
    case Phase::starting:
    case Phase::draining:
    case Phase::adopting:
      return Readiness::wait;
    default:
      return tl::unexpected(unavailable(*tenant));
  }
}

bool Tenants::begin_sweep(const TenantId& id) {
  Tenant* const tenant = lookup(id);
  if (shutting_down_ || tenant == nullptr || tenant->phase != Phase::sleeping ||
      tenant->held_back || active() >= policy_.max_workers) {
    return false;
  }
  tenant->for_sweep = true;
  raise(id, TenantEvent::wake);
  return true;
}

bool Tenants::end_sweep(const TenantId& id) {
  Tenant* const tenant = lookup(id);
  if (tenant == nullptr || !tenant->for_sweep) return true;
  const bool on_its_way = tenant->phase == Phase::queued || tenant->phase == Phase::starting ||
                          tenant->phase == Phase::draining || tenant->phase == Phase::backoff;
  if (on_its_way) return false;
  tenant->for_sweep = false;
  const bool wanted = tenant->config == nullptr || tenant->config->start == StartMode::eager;
  if (!wanted && tenant->phase == Phase::running) raise(id, TenantEvent::rest);
  return true;
}

Status Tenants::restart(const TenantId& id) {
  Tenant* const tenant = lookup(id);
  if (tenant == nullptr) return fail(ErrorCode::not_found, "no such tenant");
  if (tenant->config == nullptr) {
    return fail(ErrorCode::invalid_config, "its file has never been valid");
  }
  if (!counts_as_active(tenant->phase) && active() >= policy_.max_workers) {
    return fail(ErrorCode::resource_exhausted, "max_workers are there already");
  }
  tenant->for_sweep = false;
  journal(*tenant, EventType::tenant_restarted, "by hand");
  raise(id, TenantEvent::restart);
  return {};
}

void Tenants::retry_refused(const TenantId& id) {
  const Tenant* const tenant = find(id);
  if (tenant == nullptr || tenant->config == nullptr || tenant->phase != Phase::refused) return;
  raise(id, TenantEvent::changed_live);
}

void Tenants::shutdown() {
  shutting_down_ = true;
  std::vector<TenantId> ids;
  ids.reserve(tenants_.size());
  for (const auto& [id, tenant] : tenants_) ids.push_back(id);
  for (const TenantId& id : ids) raise(id, TenantEvent::shutdown);
}

// ---- what workers say

void Tenants::on_ready(const TenantId& id, std::uint64_t generation) {
  if (lookup_run(id, generation) != nullptr) raise(id, TenantEvent::ready);
}

void Tenants::on_registered(const TenantId& id, std::uint64_t generation) {
  if (lookup_run(id, generation) != nullptr) raise(id, TenantEvent::registered);
}

void Tenants::on_status(const TenantId& id, std::uint64_t generation, const WorkerStatus& status) {
  Tenant* const tenant = lookup_run(id, generation);
  if (tenant == nullptr) return;
  tenant->status = status;
  tenant->status_ms = host_.now_ms();
}

void Tenants::on_rows_moved(const TenantId& id, std::uint64_t generation, const RowsMoved& moved) {
  if (lookup_run(id, generation) != nullptr) host_.rows_moved(id, moved);
}

void Tenants::on_misbehaved(const TenantId& id, std::uint64_t generation, const std::string& how) {
  Tenant* const tenant = lookup_run(id, generation);
  if (tenant == nullptr) return;
  if (tenant->kill_reason.empty()) tenant->kill_reason = "killed: " + how;
  raise(id, TenantEvent::misbehaved);
}

void Tenants::on_died(const TenantId& id, std::uint64_t generation, const DeathCause& cause,
                      const std::string& detail) {
  Tenant* const tenant = lookup_run(id, generation);
  if (tenant == nullptr) return;
  if (cause.kind == DeathCause::Kind::out_of_memory) {
    ++tenant->oom_deaths;
    tenant->oom_peak_bytes = cause.peak_bytes;
  }
  std::string why = tenant->kill_reason.empty() ? cause.describe() : tenant->kill_reason;
  if (!detail.empty()) why += ": " + detail;
  if (tenant->phase == Phase::starting || tenant->phase == Phase::running) {
    return note_death(*tenant, why, tenant->kill_reason.empty() ? &cause : nullptr);
  }
  set_deadline(*tenant, 0);
  journal(*tenant, EventType::worker_stopped, why);
  tenant->worker.reset();
  host_.worker_gone(id, nullptr);
  raise(id, TenantEvent::died);
}

// ---- time

void Tenants::set_deadline(Tenant& tenant, std::uint64_t after_ms) {
  if (tenant.deadline_ms != 0) deadlines_.erase({tenant.deadline_ms, tenant.id});
  tenant.deadline_ms = after_ms == 0 ? 0 : host_.now_ms() + after_ms;
  if (tenant.deadline_ms != 0) deadlines_.emplace(tenant.deadline_ms, tenant.id);
}

void Tenants::arm_alarm() {
  if (slot_free()) return host_.set_alarm(host_.now_ms());
  host_.set_alarm(deadlines_.empty() ? 0 : deadlines_.begin()->first);
}

// One launch a call: each takes milliseconds, and the loop has other work between them.
void Tenants::on_alarm() {
  const std::uint64_t now = host_.now_ms();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const TenantId id = deadlines_.begin()->second;
    Tenant& tenant = *lookup(id);  // a forgotten tenant has no deadline
    set_deadline(tenant, 0);
    if (tenant.worker != nullptr) tenant.kill_reason = overdue(tenant.phase);
    raise(id, TenantEvent::deadline);
  }
  grant_slot();
  arm_alarm();
}

void Tenants::set_policy(const TenantPolicy& policy) {
  policy_ = policy;
  wake_held_back();
  arm_alarm();
}

}  // namespace tenantd
