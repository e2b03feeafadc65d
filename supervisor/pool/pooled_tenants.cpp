#include "supervisor/pool/pooled_tenants.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

PooledTenant lean(const TenantConfig& config) {
  PooledTenant tenant;
  tenant.settings = to_tenant_settings(config);
  tenant.access = config.access;
  if (config.name != config.id) tenant.name = config.name;
  for (const std::string& key : config.not_enforced) {
    if (!tenant.not_enforced.empty()) tenant.not_enforced += ',';
    tenant.not_enforced += key;
  }
  tenant.eager = config.start == StartMode::eager;
  tenant.access.users.shrink_to_fit();
  tenant.access.groups.shrink_to_fit();
  tenant.access.token_sha256.shrink_to_fit();
  tenant.name.shrink_to_fit();
  tenant.not_enforced.shrink_to_fit();
  return tenant;
}

bool same_access(const AccessConfig& a, const AccessConfig& b) {
  return a.users == b.users && a.groups == b.groups && a.token_sha256 == b.token_sha256 &&
         a.operators == b.operators;
}

bool same_file(const PooledTenant& a, const PooledTenant& b) {
  return a.settings == b.settings && same_access(a.access, b.access) && a.name == b.name &&
         a.not_enforced == b.not_enforced && a.eager == b.eager;
}

// The tenant must be opened anew, as others would need a new worker.
bool needs_reopening(const TenantSettings& a, const TenantSettings& b) {
  return a.router.dimension != b.router.dimension ||
         a.router.encoder.view() != b.router.encoder.view();
}

}  // namespace

PooledTenants::PooledTenants(TenantHost& host, PoolWorkers& workers,
                             std::function<void(std::uint64_t files)> on_untold,
                             std::function<void(const TenantId& id)> on_new)
    : host_(host),
      workers_(workers),
      on_untold_(std::move(on_untold)),
      on_new_(std::move(on_new)) {}

const PooledTenant* PooledTenants::find(const TenantId& id) const {
  const auto found = tenants_.find(id);
  return found == tenants_.end() ? nullptr : &found->second;
}

std::size_t PooledTenants::served() const {
  std::size_t count = 0;
  for (std::uint32_t shard = 0; shard < max_shards; ++shard) {
    if (per_shard_[shard] != 0 && workers_.serves(shard)) count += per_shard_[shard];
  }
  return count;
}

void PooledTenants::apply_file(const TenantId& id, const TenantConfig& config) {
  PooledTenant now = lean(config);
  const auto place = tenants_.lower_bound(id);
  if (place != tenants_.end() && place->first == id) {
    return change(id, place->second, std::move(now));
  }
  count_eager(false, now.eager);
  remember(id, now);
  tenants_.emplace_hint(place, id, std::move(now));
  ++per_shard_[workers_.shard_of_tenant(id)];
  tell(EventType::config_applied, id, "new");
  workers_.want(true, eager_ > 0);
  if (all_known_) on_new_(id);
}

// What an earlier supervisor, or this one before the file went away, has found out about it.
void PooledTenants::remember(const TenantId& id, PooledTenant& tenant) {
  const OwnShard* const own = workers_.own().find(id);
  if (own == nullptr) return;
  tenant.settings.own_shard = own->shard;
  if (own->deaths == 0) return;
  tenant.settings.suspect = 1;
  tenant.deaths = own->deaths;
  tenant.accusation = own->accusation;
  tenant.accused_wall_ms = own->accused_wall_ms;
  // May be before the clock's zero: only differences count.
  const std::int64_t elapsed_ms = std::max<std::int64_t>(wall_clock_ms() - own->accused_wall_ms, 0);
  tenant.accused_ms = host_.now_ms() - static_cast<std::uint64_t>(elapsed_ms);
}

void PooledTenants::change(const TenantId& id, PooledTenant& tenant, PooledTenant now) {
  now.settings.suspect = tenant.settings.suspect;
  now.used = tenant.used;
  now.settings.own_shard = tenant.settings.own_shard;
  now.accused_wall_ms = tenant.accused_wall_ms;
  now.deaths = tenant.deaths;
  now.accused_ms = tenant.accused_ms;
  now.accusation = tenant.accusation;
  const bool was_broken = !tenant.config_error.empty();
  if (same_file(tenant, now)) {
    tenant.config_error.clear();
    if (was_broken) tell(EventType::config_applied, id, "as before");
    return;
  }
  Worker* const worker = workers_.holder_of(id);
  const bool reopen = needs_reopening(tenant.settings, now.settings);
  if (worker != nullptr && reopen) {
    worker->release_tenant(id, DrainReason::replaced);
  } else if (worker != nullptr && !(tenant.settings == now.settings)) {
    worker->update_tenant(now.settings);
  }
  count_eager(tenant.eager, now.eager);
  tenant = std::move(now);
  tell(EventType::config_applied, id, reopen ? "is opened anew" : "live");
  workers_.want(true, eager_ > 0);
}

void PooledTenants::reject_file(const TenantId& id, const std::string& why) {
  const auto found = tenants_.find(id);
  if (found == tenants_.end() || found->second.config_error == why) return;
  found->second.config_error = why;
  tell(EventType::config_rejected, id, why);
}

void PooledTenants::remove_file(const TenantId& id) {
  const auto found = tenants_.find(id);
  if (found == tenants_.end()) return;
  count_eager(found->second.eager, false);
  tenants_.erase(found);
  --per_shard_[workers_.shard_of_tenant(id)];
  if (Worker* const worker = workers_.holder_of(id)) {
    worker->release_tenant(id, DrainReason::removed);
  }
  Error error;
  error.code = ErrorCode::unavailable;
  error.message = "the tenant is going away";
  error.tenant = id.str();
  error.retry_after_ms = 1000;
  host_.worker_unavailable(id, error);
  tell(EventType::tenant_removed, id, "its data stays");
  workers_.want(!tenants_.empty(), eager_ > 0);
}

void PooledTenants::accuse(const TenantId& id, const TenantId& worker, const std::string& how) {
  const auto found = tenants_.find(id);
  // A worker's word about itself: it can only name whom it serves.
  if (found == tenants_.end() || workers_.worker_of(id) != worker) return;
  PooledTenant& tenant = found->second;
  const std::uint64_t now_ms = host_.now_ms();
  const bool again = tenant.deaths > 0 && now_ms - tenant.accused_ms < suspicion_ms;
  tenant.deaths = again ? tenant.deaths + 1 : 1;
  tenant.accused_ms = now_ms;
  tenant.accusation = worker.str() + " died while it ran a request of this tenant: " + how;
  tenant.accused_wall_ms = wall_clock_ms();
  tenant.settings.suspect = 1;
  const std::string how_kept = keep_accusation(id, tenant);
  host_.journal(again ? EventType::tenant_quarantined : EventType::tenant_suspected, id, 0, 0,
                tenant.accusation + "; " + how_kept);
  workers_.set_probation(id, true);
  if (!again) return;
  Error error;
  error.code = ErrorCode::quarantined;
  error.message = quarantine_reason(tenant);
  error.tenant = id.str();
  host_.worker_unavailable(id, error);
}

// Gives it a shard of its own, if it has none. Returns what becomes of it, for people.
std::string PooledTenants::keep_accusation(const TenantId& id, PooledTenant& tenant) {
  OwnShards& shards = workers_.own();
  OwnShard record;
  if (const OwnShard* const own = shards.find(id)) record = *own;
  record.deaths = tenant.deaths;
  record.accused_wall_ms = tenant.accused_wall_ms;
  record.accusation = tenant.accusation;
  if (record.shard != 0) {
    const Status kept = shards.change(id, record);
    std::string where = "in its own shard " + shard_directory_name(record.shard);
    return kept ? where : where + ", but a restart forgets it: " + kept.error().message;
  }
  const std::uint32_t home = workers_.shard_of_tenant(id);
  if (workers_.is_on_probation(home)) {
    return "its whole shard " + shard_directory_name(home) + " is there, and a restart forgets it";
  }
  if (const Status kept = shards.keep(id, workers_.shard_count(), record); !kept) {
    return "its whole shard " + shard_directory_name(home) +
           " goes with it, and a restart forgets it: " + kept.error().message;
  }
  tenant.settings.own_shard = workers_.shard_of_tenant(id);
  --per_shard_[home];
  ++per_shard_[tenant.settings.own_shard];
  return "it moves to a shard of its own, " + shard_directory_name(tenant.settings.own_shard);
}

bool PooledTenants::acquit(const TenantId& id) {
  const auto found = tenants_.find(id);
  if (found == tenants_.end() || found->second.deaths == 0) return false;
  PooledTenant& tenant = found->second;
  tenant.deaths = 0;
  tenant.accusation.clear();
  tenant.settings.suspect = 0;
  if (tenant.settings.own_shard != 0) (void)keep_accusation(id, tenant);
  if (Worker* const worker = workers_.holder_of(id)) worker->update_tenant(tenant.settings);
  host_.journal(EventType::tenant_restarted, id, 0, 0, "no longer suspected");
  const std::uint32_t shard = workers_.shard_of_tenant(id);
  for (const auto& [other, one] : tenants_) {
    if (one.deaths > 0 && workers_.shard_of_tenant(other) == shard) return true;
  }
  workers_.set_probation(id, false);
  return true;
}

std::string PooledTenants::quarantine_reason(const PooledTenant& tenant) {
  if (tenant.deaths < 2) return {};
  return tenant.accusation +
         ", and not the first time: no attachment is taken until `tenantctl "
         "tenant restart`";
}

void PooledTenants::note_use(const TenantId& id) {
  const auto found = tenants_.find(id);
  if (found != tenants_.end()) found->second.used = true;
}

std::string PooledTenants::probation_reason(const PooledTenant& tenant) {
  if (tenant.deaths == 0) return {};
  std::string text = "on probation since " + format_utc(tenant.accused_wall_ms);
  text += tenant.settings.own_shard == 0
              ? " with its whole shard"
              : " in shard " + shard_directory_name(tenant.settings.own_shard) + " of its own";
  return text + ": " + tenant.accusation;
}

void PooledTenants::settle() {
  all_known_ = true;
  workers_.all_files_read();
  if (untold_ != 0) on_untold_(std::exchange(untold_, 0));
}

void PooledTenants::tell(EventType type, const TenantId& id, const std::string& detail) {
  const std::uint64_t now_ms = host_.now_ms();
  const double elapsed_s = static_cast<double>(now_ms - std::min(now_ms, tokens_ms_)) / 1000;
  tokens_ = std::min(told_at_once, tokens_ + elapsed_s * told_per_second);
  tokens_ms_ = now_ms;
  if (tokens_ < 1) {
    ++untold_;
    return;
  }
  tokens_ -= 1;
  host_.journal(type, id, 0, 0, detail);
}

void PooledTenants::count_eager(bool before, bool now) noexcept {
  if (before) --eager_;
  if (now) ++eager_;
}

}  // namespace tenantd
