// A tenant's history in a running worker: its recorder, when that is emptied into the database, and
// what is deleted of it.
//
// Runs in: worker. Loop thread, but for what says editor thread. A timer runs only while something
// is buffered. What is buffered when the process is killed is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "shared/contract/tenant_settings.h"
#include "shared/loop/loop.h"
#include "worker/handlers/dispatcher.h"
#include "worker/history/execution_recorder.h"
#include "worker/runtime/edit_thread.h"
#include "worker/store/history_store.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

// When the worker deletes what is too old, by its clock; kept by who owns the timer.
struct SweepTimes {
  std::int64_t last_us = 0;
  std::int64_t next_us = 0;
};

// What of a tenant's settings is the history's.
[[nodiscard]] HistoryBounds history_bounds(const TenantSettings& settings) noexcept;

class HistoryKeeper {
 public:
  static constexpr std::uint64_t flush_delay_ms = 500;
  static constexpr std::size_t own_worker_records = 4096;  // that a ring has room for
  static constexpr std::size_t pooled_records = 256;
  static constexpr int steps_per_request = 80;  // of one request to delete; the next does the rest

  struct Setup {
    Loop& loop;
    EditThread& edits;
    std::size_t records = own_worker_records;
    // What the job needs around it: the tenant is kept alive, and it is said whose work it is.
    std::function<EditThread::Job(EditThread::Job)> wrap;
    std::function<void()> on_job_done;
  };

  // `context` outlives it.
  HistoryKeeper(const ExecutionContext& context, Setup setup);
  ~HistoryKeeper();
  HistoryKeeper(const HistoryKeeper&) = delete;
  HistoryKeeper& operator=(const HistoryKeeper&) = delete;

  // Editor thread, or before the loop serves: the database gets the room that the history may take,
  // and learns of new bounds. Returns how many executions it holds; a history that cannot be looked
  // at has none.
  static std::uint64_t make_room(const ExecutionContext& context, TenantStore& store,
                                 const TenantSettings& settings);

  // Once. `store` outlives it.
  void open(const TenantStore& store, std::uint64_t executions);
  // Recording begins and ends here, if the store is open.
  void apply(const TenantSettings& settings);
  // Null while nothing is recorded.
  [[nodiscard]] ExecutionRecorder* recorder() const noexcept;
  [[nodiscard]] std::size_t bytes() const noexcept;
  [[nodiscard]] std::size_t in_flight() const { return setup_.edits.in_flight(this); }
  // Writes what is buffered, if anything is. True: a job is on its way, on_job_done will be called.
  bool flush();
  // Deletes what is due at `now_us`, one short job after the other.
  void sweep(std::int64_t now_us);
  [[nodiscard]] bool sweeping() const noexcept { return sweeping_; }
  // Ends a sweep after the job that is on its way.
  void stop_sweeping() noexcept { stopping_ = true; }

  // What answers a question on the editor thread; run it once.
  [[nodiscard]] std::function<Result<HistoryAnswer>()> question(const HistoryAsk& ask,
                                                                std::int64_t now_us);
  // The rest of an answer, which the loop thread knows.
  void complete(HistoryAnswer& answer, const SweepTimes& times) const;

 private:
  using Recorder = std::shared_ptr<ExecutionRecorder>;
  [[nodiscard]] bool submit(EditThread::Job job);
  void on_buffered(ExecutionRecorder::Urgency urgency);
  void start_timer(std::uint64_t delay_ms);
  void after_flush(const Recorder& recorder);
  void sweep_step(std::int64_t now_us, std::int64_t run_us);
  // Editor thread.
  void write_buffered(const Recorder& recorder, HistoryBounds bounds);
  [[nodiscard]] Result<HistoryAnswer> read(const ExecutionsRequest& request);
  [[nodiscard]] Result<HistoryAnswer> report(const RetentionRequest& request, HistoryBounds bounds,
                                             std::int64_t now_us);

  const ExecutionContext& context_;
  Setup setup_;
  std::optional<Timer> timer_;  // from the first record on
  Recorder recorder_;           // null: nothing is recorded
  TenantSettings settings_{};
  bool has_rows_ = false;  // or had, or soon may
  bool flushing_ = false;
  bool sweeping_ = false;
  bool stopping_ = false;
  std::optional<HistoryStore> store_;  // the editor thread's from open() on
  std::int64_t request_run_us_ = 0;    // editor thread's: of a run that is not over; 0: none
};

}  // namespace tenantd
