#include "supervisor/retention/sleeper_sweep.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tenantd {

SleeperSweep::SleeperSweep(Tenants& tenants, std::string times_path, SleeperSweepTimes times,
                           Services services)
    : tenants_(tenants),
      swept_(std::move(times_path)),
      times_(times),
      services_(std::move(services)) {}

// Those in quarantine, refused or gone do not sleep, and a program of its own keeps no history of
// ours. A pooled worker knows of its tenants what each may keep.
bool SleeperSweep::may_be_swept(const Tenant& tenant) const {
  if (tenant.phase != Phase::sleeping || tenant.held_back || tenant.config == nullptr) return false;
  const TenantConfig& config = *tenant.config;
  if (!config.pool && (!config.retention_days || !config.physical.program_path.empty())) {
    return false;
  }
  return services_.has_data(tenant);
}

std::int64_t SleeperSweep::due_s(const TenantId& tenant) const {
  const std::int64_t last_s = swept_.last_s(tenant);
  // Of a clock that was ahead nothing can be concluded.
  return last_s > services_.now_s() ? 0 : last_s + times_.every_s;
}

const Tenant* SleeperSweep::next() const {
  const Tenant* first = nullptr;
  std::int64_t first_due_s = std::numeric_limits<std::int64_t>::max();
  for (const auto& [id, tenant] : tenants_.all()) {
    if (tenant.phase != Phase::sleeping || awake_.contains(id)) continue;
    const std::int64_t due = due_s(id);
    if (due >= first_due_s || !may_be_swept(tenant)) continue;
    first = &tenant;
    first_due_s = due;
  }
  return first;
}

bool SleeperSweep::is_over(const TenantId& id, Turn& turn) {
  const Tenant* const tenant = tenants_.find(id);
  if (tenant == nullptr || tenant->phase != Phase::running) return true;
  const std::uint64_t now = services_.now_ms();
  const bool answered = turn.asked_ms != 0 && tenant->status_ms >= turn.asked_ms;
  if ((answered && tenant->status.swept != 0) || now - turn.began_ms >= times_.longest_ms) {
    return true;
  }
  turn.asked_ms = now;
  tenant->worker->request_status();
  return false;
}

void SleeperSweep::end_turns() {
  for (auto one = awake_.begin(); one != awake_.end();) {
    const TenantId id = one->first;
    const Tenant* const tenant = tenants_.find(id);
    const bool ran = tenant != nullptr && tenant->phase == Phase::running;
    if (!is_over(id, one->second) || !tenants_.end_sweep(id)) {
      ++one;
      continue;
    }
    one = awake_.erase(one);
    if (!ran) continue;
    const Status kept = swept_.set(id, services_.now_s(), [this](const TenantId& other) {
      return tenants_.find(other) == nullptr;
    });
    if (!kept) services_.note(true, "when it was swept: " + kept.error().describe(), id);
  }
}

std::uint64_t SleeperSweep::until_next_end() const {
  return awake_.empty() ? times_.look_ms : times_.ask_ms;
}

std::uint64_t SleeperSweep::run() {
  end_turns();
  while (awake_.size() < max_awake) {
    const Tenant* const tenant = next();
    if (tenant == nullptr) break;
    const std::int64_t due_in_s = due_s(tenant->id) - services_.now_s();
    if (due_in_s > 0) {
      return std::min(until_next_end(), static_cast<std::uint64_t>(due_in_s) * 1000);
    }
    const TenantId id = tenant->id;
    if (!tenants_.begin_sweep(id)) return std::min(until_next_end(), times_.retry_ms);
    services_.note(false, "wakes to delete what is past retention", id);
    awake_[id] = Turn{services_.now_ms(), 0};
  }
  return until_next_end();
}

}  // namespace tenantd
