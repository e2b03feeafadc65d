// All tenants and what becomes of them: files and workers raise events, the state table answers.
//
// Runs in: supervisor; single-threaded, no I/O of its own. Invariants: a tenant has at most one
// worker process; at most start_concurrency workers are starting; at most max_workers tenants have
// or await one (an operator's restart and survivors aside).
#pragma once

#include <array>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "supervisor/config/config_change.h"
#include "supervisor/tenant/tenant.h"

namespace tenantd {

struct TenantPolicy {
  std::uint32_t max_workers = 0;
  std::uint32_t start_concurrency = 0;
  std::uint64_t start_timeout_ms = 0;
  std::uint64_t drain_timeout_ms = 0;
  std::uint64_t adoption_timeout_ms = 10'000;
  RestartPolicyConfig restart;

  [[nodiscard]] static TenantPolicy from(const DaemonConfig& config);
};

class Tenants final : public WorkerEvents {
 public:
  // SIGKILL follows a drain this long after its timeout: the worker has the first word.
  static constexpr std::uint64_t kill_grace_ms = 500;
  // Never told to be nearer than this, so that clients do not hammer.
  static constexpr std::uint64_t min_retry_after_ms = 100;

  Tenants(TenantHost& host, const TenantPolicy& policy, std::uint64_t seed);

  // The tenant's file is new or has changed, and is valid.
  void apply_file(const TenantId& id, TenantConfig config);
  // It is broken: the last good configuration goes on.
  void reject_file(const TenantId& id, const std::string& why);
  void remove_file(const TenantId& id);
  // Its file has never been valid and is another registry's now: as if it had never been told.
  // False: it has a configuration or a process.
  [[nodiscard]] bool forget_invalid(const TenantId& id);
  // A live process of an earlier supervisor, known from its record; before any file is applied.
  void expect_survivor(const TenantId& id, std::unique_ptr<Worker> worker);

  enum class Readiness { now, wait };
  // Wakes a sleeping worker. Error: quarantined, unavailable (with retry_after_ms), not_found.
  [[nodiscard]] Result<Readiness> request_worker(const TenantId& id);
  // Wakes a sleeping one only so that its worker deletes what is too old; nobody is told. False: it
  // does not sleep, or max_workers are there.
  [[nodiscard]] bool begin_sweep(const TenantId& id);
  // It sleeps again, unless somebody has asked for it since. False: it is still to start.
  [[nodiscard]] bool end_sweep(const TenantId& id);
  // Now, whatever the state. Errors: not_found, invalid_config (never valid), resource_exhausted.
  [[nodiscard]] Status restart(const TenantId& id);
  // The host could not run it, and may be able to now.
  void retry_refused(const TenantId& id);
  void shutdown();
  void on_alarm();
  void set_policy(const TenantPolicy& policy);

  [[nodiscard]] const Tenant* find(const TenantId& id) const;
  [[nodiscard]] const std::map<TenantId, Tenant>& all() const noexcept { return tenants_; }
  [[nodiscard]] std::size_t running() const noexcept { return counts_[index(Phase::running)]; }
  [[nodiscard]] std::size_t starting() const noexcept { return counts_[index(Phase::starting)]; }
  [[nodiscard]] bool shut_down() const noexcept { return shutting_down_ && tenants_.empty(); }

  void on_ready(const TenantId& tenant, std::uint64_t generation) override;
  void on_registered(const TenantId& tenant, std::uint64_t generation) override;
  void on_status(const TenantId& tenant, std::uint64_t generation,
                 const WorkerStatus& status) override;
  void on_rows_moved(const TenantId& worker, std::uint64_t generation,
                     const RowsMoved& moved) override;
  void on_misbehaved(const TenantId& tenant, std::uint64_t generation,
                     const std::string& how) override;
  void on_died(const TenantId& tenant, std::uint64_t generation, const DeathCause& cause,
               const std::string& detail) override;

 private:
  [[nodiscard]] static std::size_t index(Phase phase) noexcept {
    return static_cast<std::size_t>(phase);
  }
  [[nodiscard]] Tenant* lookup(const TenantId& id);
  [[nodiscard]] Tenant* lookup_run(const TenantId& id, std::uint64_t generation);

  // Runs the table to completion; actions may raise further events, which follow in order.
  void raise(const TenantId& id, TenantEvent event);
  void step(const TenantId& id, TenantEvent event);
  void perform(Tenant& tenant, Action action);
  void enter(Tenant& tenant, Phase phase);

  void spawn(Tenant& tenant);
  void accept_ready(Tenant& tenant);
  void adopt(Tenant& tenant);
  void drain(Tenant& tenant, DrainReason reason);
  void kill(Tenant& tenant);
  void wait_backoff(Tenant& tenant);
  void quarantine(Tenant& tenant);
  void note_death(Tenant& tenant, const std::string& why, const DeathCause* crash = nullptr);

  void change_config(Tenant& tenant, TenantConfig config);
  void wake_if_wanted(Tenant& tenant, bool wanted);
  void grant_slot();
  [[nodiscard]] bool slot_free() const noexcept;
  void journal(const Tenant& tenant, EventType type, const std::string& detail);
  void wake_held_back();
  void hold_back(Tenant& tenant);
  [[nodiscard]] std::string overdue(Phase phase) const;
  [[nodiscard]] std::size_t active() const noexcept;
  void set_deadline(Tenant& tenant, std::uint64_t after_ms);  // 0: none
  void arm_alarm();
  [[nodiscard]] Error unavailable(const Tenant& tenant) const;

  TenantHost& host_;
  TenantPolicy policy_;
  std::mt19937_64 random_;
  std::map<TenantId, Tenant> tenants_;
  std::array<std::size_t, static_cast<std::size_t>(Phase::count)> counts_{};
  std::deque<TenantId> start_queue_;
  std::deque<TenantId> held_back_;
  std::set<std::pair<std::uint64_t, TenantId>> deadlines_;
  std::deque<std::pair<TenantId, TenantEvent>> events_;
  bool stepping_ = false;
  bool shutting_down_ = false;
};

}  // namespace tenantd
