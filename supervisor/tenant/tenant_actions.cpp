// What the table's actions do to a tenant, and what it then tells.
#include <algorithm>
#include <utility>

#include "supervisor/tenant/tenants.h"

namespace tenantd {
namespace {

// The host cannot do it: trying again would not help.
bool for_good(ErrorCode code) noexcept {
  return code == ErrorCode::layer_missing || code == ErrorCode::invalid_config ||
         code == ErrorCode::unsupported || code == ErrorCode::permission_denied;
}

std::string in_seconds(std::uint64_t ms) {
  std::string text = std::to_string(ms / 1000);
  text += '.';
  text += std::to_string(ms % 1000 / 100);
  return text + " s";
}

}  // namespace

void Tenants::spawn(Tenant& tenant) {
  tenant.generation = std::max(tenant.generation, host_.last_generation(tenant.id)) + 1;
  tenant.launched_ms = host_.now_ms();
  tenant.status = {};
  tenant.status_ms = 0;
  tenant.kill_reason.clear();
  tenant.drain_sent = false;
  auto worker = host_.start_worker(tenant.id, *tenant.config, tenant.generation);
  if (worker) {
    tenant.worker = std::move(*worker);
    tenant.reason = "started, not ready yet";
    set_deadline(tenant, policy_.start_timeout_ms);
    return journal(tenant, EventType::worker_started,
                   tenant.worker->missing_layers().empty() ? "" : "some layers are missing");
  }
  const std::string why = "could not be started: " + worker.error().describe();
  if (for_good(worker.error().code)) {
    tenant.reason = why;
    journal(tenant, EventType::worker_died, why);
    return raise(tenant.id, TenantEvent::host_refuses);
  }
  note_death(tenant, why);
}

void Tenants::note_death(Tenant& tenant, const std::string& why, const DeathCause* crash) {
  ++tenant.deaths;
  tenant.reason = why;
  tenant.decision = tenant.restarts.on_death(host_.now_ms(), policy_.restart, random_);
  journal(tenant, EventType::worker_died, why);
  tenant.worker.reset();
  host_.worker_gone(tenant.id, crash);
  raise(tenant.id, tenant.decision.quarantine ? TenantEvent::died_for_good : TenantEvent::died);
}

void Tenants::accept_ready(Tenant& tenant) {
  set_deadline(tenant, 0);
  tenant.reason.clear();
  journal(tenant, EventType::worker_ready,
          "after " + std::to_string(host_.now_ms() - tenant.launched_ms) + " ms");
  host_.worker_ready(tenant.id);
}

void Tenants::adopt(Tenant& tenant) {
  set_deadline(tenant, 0);
  tenant.reason.clear();
  journal(tenant, EventType::worker_adopted, "it outlived an earlier supervisor");
  if (tenant.config != nullptr) {
    tenant.worker->update_settings(to_tenant_settings(*tenant.config));
    (void)tenant.worker->apply_limits(to_resource_limits(*tenant.config));
    if (tenant.worker->outdated_by(*tenant.config)) {
      raise(tenant.id, TenantEvent::changed_worker);
      return;
    }
  }
  if (tenant.phase == Phase::running) host_.worker_ready(tenant.id);
}

void Tenants::drain(Tenant& tenant, DrainReason reason) {
  static constexpr std::array<const char*, 5> reasons = {"", "stopping", "restarting by hand",
                                                         "replaced after a change of its file",
                                                         "its file was removed"};
  tenant.reason = reasons[static_cast<std::size_t>(reason)];
  tenant.worker->drain(reason, static_cast<std::uint32_t>(policy_.drain_timeout_ms));
  // A second reason does not buy the worker more time.
  if (!std::exchange(tenant.drain_sent, true)) {
    set_deadline(tenant, policy_.drain_timeout_ms + kill_grace_ms);
  }
  if (tenant.phase == Phase::stopping) host_.worker_unavailable(tenant.id, unavailable(tenant));
}

void Tenants::kill(Tenant& tenant) {
  set_deadline(tenant, 0);
  if (tenant.kill_reason.empty()) tenant.kill_reason = "killed";
  tenant.worker->kill();
}

void Tenants::wait_backoff(Tenant& tenant) {
  set_deadline(tenant, std::max<std::uint64_t>(tenant.decision.delay_ms, 1));
  host_.worker_unavailable(tenant.id, unavailable(tenant));
}

void Tenants::quarantine(Tenant& tenant) {
  set_deadline(tenant, 0);
  tenant.reason = std::to_string(tenant.decision.deaths) + " deaths within " +
                  in_seconds(policy_.restart.crash_loop_window_ms) + ", the last: " + tenant.reason;
  journal(tenant, EventType::tenant_quarantined, tenant.reason);
  host_.worker_unavailable(tenant.id, unavailable(tenant));
}

std::string Tenants::overdue(Phase phase) const {
  if (phase == Phase::starting) {
    return "killed: not ready within " + in_seconds(policy_.start_timeout_ms);
  }
  return phase == Phase::adopting ? "killed: it did not register with the new supervisor"
                                  : "killed: it did not stop in time";
}

Error Tenants::unavailable(const Tenant& tenant) const {
  Error error;
  error.tenant = tenant.id.str();
  error.code = ErrorCode::unavailable;
  error.retry_after_ms = 1000;
  switch (tenant.phase) {
    case Phase::quarantined:
      error.code = ErrorCode::quarantined;
      error.message = "the worker died repeatedly and is quarantined";
      error.hint = "tenantctl tenant status " + error.tenant;
      error.retry_after_ms = 60'000;
      break;
    case Phase::backoff: {
      const std::uint64_t now = host_.now_ms();
      const std::uint64_t rest = tenant.deadline_ms - std::min(now, tenant.deadline_ms);
      error.message = "the worker died and restarts soon";
      error.retry_after_ms = static_cast<std::uint32_t>(std::max(rest, min_retry_after_ms));
      break;
    }
    case Phase::sleeping:
      error.code = ErrorCode::resource_exhausted;
      error.message = "as many workers as this host may run are there";
      break;
    case Phase::refused:
      error.message = "this host cannot run the tenant";
      error.hint = "tenantctl tenant status " + error.tenant;
      error.retry_after_ms = 60'000;
      break;
    default:
      error.message = "the tenant is going away";
      break;
  }
  return error;
}

}  // namespace tenantd
