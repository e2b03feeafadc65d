#include "supervisor/pool/pool_workers.h"

#include <utility>

namespace tenantd {
namespace {

template <class Keep>
ShardSet select(Keep keep) {
  ShardSet out;
  for (std::uint32_t shard = 0; shard < max_shards; ++shard) {
    if (keep(shard)) out.add(shard);
  }
  return out;
}

bool within(const ShardSet& inner, const ShardSet& outer) {
  return select([&](std::uint32_t shard) { return inner.has(shard) && !outer.has(shard); }).empty();
}

// What it has or will have at its next start.
ShardSet share_of(const Tenant* tenant) {
  if (tenant == nullptr) return {};
  if (tenant->config != nullptr && tenant->config->pool) return tenant->config->pool->shards;
  return tenant->worker != nullptr ? tenant->worker->shards() : ShardSet{};
}

}  // namespace

PoolWorkers::PoolWorkers(Tenants& tenants, const DaemonConfig& config, OwnShards& own)
    : tenants_(tenants), config_(config), own_(own) {
  for (const auto& [tenant, one] : own_.all()) {
    if (one.deaths > 0) on_probation_.add(one.shard);
  }
  for (std::uint32_t i = 0; i < max_pool_workers; ++i) ids_.push_back(pool_worker_id(i));
  ids_.push_back(probation_worker_id());
  configure();
}

void PoolWorkers::configure() {
  const auto by_weight = plan_shards(config_.pool.shards, config_.pool.workers);
  plan_.assign(ids_.size(), ShardSet{});
  owners_.assign(max_shards, 0);
  for (std::uint32_t shard = 0; shard < config_.pool.shards && !by_weight.empty(); ++shard) {
    const auto best = std::find_if(by_weight.begin(), by_weight.end(),
                                   [shard](const ShardSet& set) { return set.has(shard); });
    owners_[shard] = on_probation_.has(shard)
                         ? probation_worker
                         : static_cast<std::uint32_t>(best - by_weight.begin());
    plan_[owners_[shard]].add(shard);
  }
  if (!by_weight.empty()) plan_own_shards();
  plan_is_old_ = false;
  reconcile();
}

void PoolWorkers::plan_own_shards() {
  for (const auto& [tenant, one] : own_.all()) {
    owners_[one.shard] = on_probation_.has(one.shard)
                             ? probation_worker
                             : worker_of_shard(one.shard, config_.pool.workers);
    plan_[one.moved ? owners_[one.shard] : owners_[home_of(tenant)]].add(one.shard);
    if (!one.moved) moves_.try_emplace(tenant);
  }
}

// To be done by whoever has both shards; told once.
void PoolWorkers::order_moves() {
  for (auto& [tenant, move] : moves_) {
    const OwnShard& own = *own_.find(tenant);
    const std::uint32_t home = home_of(tenant);
    const std::uint32_t worker = owners_[home];
    const Tenant* const entry = tenants_.find(ids_[worker]);
    if (entry == nullptr || entry->phase != Phase::running ||
        (move.worker == worker && move.generation == entry->generation) ||
        !entry->worker->shards().has(home) || !entry->worker->shards().has(own.shard)) {
      continue;
    }
    move.worker = worker;
    move.generation = entry->generation;
    entry->worker->move_rows(tenant, home, own.shard);
  }
}

bool PoolWorkers::note_moved(const TenantId& worker, const TenantId& tenant,
                             const RowsMoved& moved) {
  const auto found = moves_.find(tenant);
  const Tenant* const entry = tenants_.find(worker);
  if (found == moves_.end() || entry == nullptr || worker != ids_[found->second.worker] ||
      found->second.generation != entry->generation || own_.find(tenant)->shard != moved.to) {
    return false;
  }
  if (moved.done == 0) {
    found->second = {0, 0, std::string(moved.reason.view())};
    return true;
  }
  OwnShard now = *own_.find(tenant);
  now.moved = true;
  (void)own_.change(tenant, now);  // not on the disk: it is looked after again at the next start
  moves_.erase(found);
  plan_is_old_ = true;
  return true;
}

void PoolWorkers::set_probation(const TenantId& tenant, bool on) {
  const std::uint32_t changed = shard_of_tenant(tenant);
  if (on_probation_.has(changed) == on) return;
  on_probation_ =
      select([&](std::uint32_t shard) { return shard == changed ? on : on_probation_.has(shard); });
  configure();
}

void PoolWorkers::want(bool any, bool eager) {
  if (std::exchange(any_, any) == any && eager_ == eager) return;
  eager_ = eager;
  reconcile();
}

void PoolWorkers::all_files_read() {
  if (!std::exchange(all_read_, true)) reconcile();
}

void PoolWorkers::reconcile() {
  if (plan_is_old_) return configure();
  if (!any_ && !all_read_) return;
  for (std::uint32_t i = 0; i < ids_.size(); ++i) {
    if (any_ && !plan_[i].empty()) {
      place(i);
    } else if (all_read_ && tenants_.find(ids_[i]) != nullptr) {
      tenants_.remove_file(ids_[i]);
    }
  }
  order_moves();
}

void PoolWorkers::place(std::uint32_t number) {
  const Tenant* const tenant = tenants_.find(ids_[number]);
  const ShardSet held = held_by_others(number);
  const ShardSet& target = plan_[number];
  const ShardSet share =
      select([&](std::uint32_t shard) { return target.has(shard) && !held.has(shard); });
  // Others have what it is to get: it waits for all of it, unless it has to give something, too.
  if (share != target && within(share_of(tenant), target)) return;
  if (share.empty()) return tenants_.remove_file(ids_[number]);
  tenants_.apply_file(ids_[number],
                      pool_worker_config(ids_[number], config_, share,
                                         eager_ ? StartMode::eager : StartMode::on_demand));
}

ShardSet PoolWorkers::held_by_others(std::uint32_t number) const {
  ShardSet held;
  for (std::uint32_t i = 0; i < ids_.size(); ++i) {
    const Tenant* const tenant = i == number ? nullptr : tenants_.find(ids_[i]);
    if (tenant == nullptr || tenant->worker == nullptr) continue;
    const ShardSet shards = tenant->worker->shards();
    held = select([&](std::uint32_t shard) { return held.has(shard) || shards.has(shard); });
  }
  return held;
}

std::uint32_t PoolWorkers::home_of(const TenantId& tenant) const {
  return shard_of(tenant.view(), config_.pool.shards);
}

std::uint32_t PoolWorkers::shard_of_tenant(const TenantId& tenant) const {
  const OwnShard* const own = own_.find(tenant);
  return own != nullptr ? own->shard : home_of(tenant);
}

bool PoolWorkers::serves(std::uint32_t shard) const {
  const Tenant* const entry =
      shard < owners_.size() ? tenants_.find(ids_[owners_[shard]]) : nullptr;
  return entry != nullptr && entry->phase == Phase::running && entry->worker->shards().has(shard);
}

const TenantId& PoolWorkers::worker_of(const TenantId& tenant) const {
  return ids_[owners_[shard_of_tenant(tenant)]];
}

const Tenant* PoolWorkers::entry_of(const TenantId& tenant) const {
  return tenants_.find(worker_of(tenant));
}

Worker* PoolWorkers::holder_of(const TenantId& tenant) const {
  const std::uint32_t shard = shard_of_tenant(tenant);
  const auto has_it = [shard](const Tenant* entry) {
    return entry != nullptr && entry->worker != nullptr && entry->worker->shards().has(shard);
  };
  const Tenant* entry = entry_of(tenant);
  for (std::uint32_t i = 0; !has_it(entry) && i < ids_.size(); ++i) {
    entry = tenants_.find(ids_[i]);
  }
  return has_it(entry) ? entry->worker.get() : nullptr;
}

tl::unexpected<Error> PoolWorkers::about(Error error, const TenantId& tenant,
                                         const TenantId& worker) const {
  error.tenant = tenant.str();
  if (!error.hint.empty()) error.hint = "tenantctl tenant status " + worker.str();
  return tl::unexpected(std::move(error));
}

// Its rows come first, by a worker that may still have to start.
Result<Tenants::Readiness> PoolWorkers::request_move(const TenantId& tenant) {
  Move& move = moves_.at(tenant);
  if (!move.problem.empty()) {
    Error error;
    error.code = ErrorCode::unavailable;
    error.message =
        "its rows could not be moved to its own shard: " + std::exchange(move.problem, {});
    error.retry_after_ms = 1000;
    order_moves();
    return about(std::move(error), tenant, worker_of(tenant));
  }
  const TenantId& mover = ids_[owners_[home_of(tenant)]];
  const auto readiness = tenants_.request_worker(mover);
  if (!readiness) return about(readiness.error(), tenant, mover);
  order_moves();
  return Tenants::Readiness::wait;
}

Result<Tenants::Readiness> PoolWorkers::request(const TenantId& tenant) {
  if (moves_.contains(tenant)) return request_move(tenant);
  const TenantId& id = worker_of(tenant);
  const std::uint32_t shard = shard_of_tenant(tenant);
  // Its shard is still with another worker, which is about to give it.
  if (!share_of(tenants_.find(id)).has(shard)) return Tenants::Readiness::wait;
  auto readiness = tenants_.request_worker(id);
  if (!readiness) return about(std::move(readiness).error(), tenant, id);
  const Tenant* const entry = tenants_.find(id);
  const bool holds = entry->worker != nullptr && entry->worker->shards().has(shard);
  return holds ? *readiness : Tenants::Readiness::wait;
}

}  // namespace tenantd
