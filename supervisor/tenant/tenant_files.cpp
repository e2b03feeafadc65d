// Tenant files: what a new, changed, broken or removed one asks of its tenant.
#include <algorithm>
#include <utility>

#include "supervisor/tenant/tenants.h"

namespace tenantd {

void Tenants::apply_file(const TenantId& id, TenantConfig config) {
  if (shutting_down_) return;
  Tenant* tenant = lookup(id);
  if (tenant == nullptr) {
    tenant = &tenants_.try_emplace(id, id).first->second;
    ++counts_[index(tenant->phase)];
    tenant->config = std::make_unique<TenantConfig>(std::move(config));
    journal(*tenant, EventType::config_applied, "new");
    wake_if_wanted(*tenant, tenant->config->start == StartMode::eager);
    return;
  }
  if (tenant->phase == Phase::stopping) raise(id, TenantEvent::returned);
  change_config(*tenant, std::move(config));
}

void Tenants::change_config(Tenant& tenant, TenantConfig config) {
  const bool first = tenant.config == nullptr;
  const bool was_broken = !tenant.config_error.empty();
  const ConfigChange change = first ? ConfigChange{} : diff(*tenant.config, config);
  tenant.config_error.clear();
  if (!first && !change.any) {
    if (was_broken) journal(tenant, EventType::config_applied, "as before");
    return;
  }
  tenant.config = std::make_unique<TenantConfig>(std::move(config));
  bool replace = change.needs_new_worker;
  if (tenant.worker != nullptr && tenant.phase != Phase::adopting) {
    if (first) replace = tenant.worker->outdated_by(*tenant.config);
    if (first || change.live_settings) {
      tenant.worker->update_settings(to_tenant_settings(*tenant.config));
    }
    if (first || change.live_resources) {
      const Status applied = tenant.worker->apply_limits(to_resource_limits(*tenant.config));
      if (!applied) tenant.config_error = "limits not applied: " + applied.error().describe();
    }
  }
  const char* const how = replace ? "needs a new worker" : first ? "new" : "live";
  journal(tenant, EventType::config_applied, how);
  const TenantId id = tenant.id;
  raise(id, replace ? TenantEvent::changed_worker : TenantEvent::changed_live);
  Tenant* const after = lookup(id);
  if (after != nullptr && after->phase == Phase::sleeping) {
    wake_if_wanted(*after, after->config->start == StartMode::eager);
  }
}

void Tenants::reject_file(const TenantId& id, const std::string& why) {
  if (shutting_down_) return;
  Tenant* tenant = lookup(id);
  if (tenant == nullptr) {
    tenant = &tenants_.try_emplace(id, id).first->second;
    ++counts_[index(tenant->phase)];
    enter(*tenant, Phase::refused);
  }
  if (tenant->phase == Phase::stopping) raise(id, TenantEvent::returned);
  if (tenant->config_error == why) return;
  tenant->config_error = why;
  if (tenant->config == nullptr) tenant->reason = "its file has never been valid";
  journal(*tenant, EventType::config_rejected, why);
}

void Tenants::remove_file(const TenantId& id) {
  Tenant* const tenant = lookup(id);
  if (tenant == nullptr || shutting_down_ || tenant->phase == Phase::stopping) return;
  tenant->reason = "its file was removed";
  journal(*tenant, EventType::tenant_removed, "its data stays");
  raise(id, TenantEvent::removed);
}

bool Tenants::forget_invalid(const TenantId& id) {
  const auto found = tenants_.find(id);
  if (found == tenants_.end()) return true;
  if (found->second.config != nullptr || found->second.worker != nullptr) return false;
  set_deadline(found->second, 0);
  --counts_[index(found->second.phase)];
  tenants_.erase(found);
  return true;
}

void Tenants::expect_survivor(const TenantId& id, std::unique_ptr<Worker> worker) {
  const auto [place, added] = tenants_.try_emplace(id, id);
  if (!added) return;
  Tenant& tenant = place->second;
  ++counts_[index(tenant.phase)];
  enter(tenant, Phase::adopting);
  tenant.generation = worker->generation();
  tenant.worker = std::move(worker);
  tenant.launched_ms = host_.now_ms();
  tenant.reason = "a worker of an earlier supervisor is expected to register";
  set_deadline(tenant, policy_.adoption_timeout_ms);
  arm_alarm();
}

}  // namespace tenantd
