// One tenant in this process: its identity, its routes, what its handlers work with, and its edits
// on their way.
//
// Runs in: worker. Loop thread, but for what says editor thread. Its jobs on the editor thread keep
// it alive until they are completed.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "shared/contract/link.h"
#include "worker/cache/tenant_caches.h"
#include "worker/handlers/trial_handler.h"
#include "worker/runtime/edit_thread.h"
#include "worker/runtime/history_keeper.h"
#include "worker/runtime/log.h"
#include "worker/runtime/running_mark.h"
#include "worker/runtime/tenant_data.h"
#include "worker/runtime/tenant_seat.h"

namespace tenantd {

class HostedTenant;

// What all tenants of a process share; outlives them.
struct HostedServices {
  Loop& loop;
  EditThread& edits;
  Logger& log;
  RunningMark* mark = nullptr;  // null: the only tenant
  // An edit is done, perhaps the last that was in flight.
  std::function<void(HostedTenant&, const EditResult&)> on_edit_done;
  // So are settings, or a job of the history.
  std::function<void(HostedTenant&)> on_job_done;
  std::function<void()> on_health_changed;  // of a store
  // Any thread: bytes of memory that a tenant's routes may take; 0: unknown.
  std::function<std::uint64_t(const TenantSettings&)> room_for_routes;
  SweepTimes sweep_times{};
};

class HostedTenant : public std::enable_shared_from_this<HostedTenant> {
 public:
  HostedTenant(TenantId id, const TenantSettings& settings, std::uint64_t generation,
               const HostedServices& shared);
  ~HostedTenant();
  HostedTenant(const HostedTenant&) = delete;
  HostedTenant& operator=(const HostedTenant&) = delete;

  [[nodiscard]] const ExecutionContext& context() const noexcept { return binding_.context(); }
  [[nodiscard]] HandlerServices& services() noexcept { return services_; }
  [[nodiscard]] TenantSeat& seat() noexcept { return seat_; }

  // What was opened for it, or why that could not be. Once, before any request.
  void open(Result<TenantData> data);
  // Starts what goes on without anybody asking, if there is something.
  void begin_background_work();
  // Live change; takes effect when the editor thread has done it.
  void apply_settings(const TenantSettings& settings);
  // At once: of a tenant that is not open.
  void take_settings(const TenantSettings& settings);
  // Adds its numbers to the sums.
  void add_status(WorkerStatus& status) const;
  [[nodiscard]] HistoryKeeper& history() noexcept { return history_; }
  // Jobs of the editor thread not completed yet.
  [[nodiscard]] std::size_t in_flight() const {
    return shared_.edits.in_flight(this) + history_.in_flight();
  }
  // About what its routes and caches hold of this process's memory.
  [[nodiscard]] std::uint64_t held_bytes() const;

  // Editor thread: what is left to do while no edit waits.
  [[nodiscard]] EditThread::Idle work_while_idle();

 private:
  // A job of the editor thread and, once it was applied, its result: that thread's from then on.
  struct WaitingEdit {
    EditJob job;
    std::optional<EditResult> result;
  };
  [[nodiscard]] Status submit_edit(EditJob job);
  [[nodiscard]] Status submit_trial(EditJob job);
  [[nodiscard]] Status submit_question(EditJob job);
  [[nodiscard]] Status submit(EditThread::Job job, std::size_t most_jobs = 0);
  [[nodiscard]] HistoryKeeper::Setup history_setup();
  void apply_waiting_edits();
  void on_edit_done(const EditResult& result);
  void check_store_health();

  const HostedServices& shared_;
  TenantBinding binding_;
  TenantCaches caches_;
  HistoryKeeper history_;
  HandlerServices services_;
  TrialHandler trials_;  // editor thread's
  TenantData data_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<WaitingEdit>> waiting_;  // guarded by mutex_
  Dispatcher dispatcher_;
  TenantSeat seat_;
};

}  // namespace tenantd
