// One tenant's worker: wires link, attachments, handlers, editor and store, and ends them in order.
//
// Runs in: worker, loop thread. opening → serving → draining → stopped. A store that cannot be read
// does not keep the worker from serving: it says why in its status and in every answer.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "shared/contract/launch_spec.h"
#include "worker/cache/tenant_caches.h"
#include "worker/handlers/trial_handler.h"
#include "worker/runtime/attachment_set.h"
#include "worker/runtime/edit_thread.h"
#include "worker/runtime/supervisor_link.h"
#include "worker/runtime/tenant_data.h"

namespace tenantd {

struct WorkerOptions {
  LaunchSpec spec{};  // validated: kind, magic, version, tenant id, settings
  std::string data_directory;
  std::string encoder_directory;  // compiled models
  std::string link_socket_path;
  std::uint64_t handshake_timeout_ms = 5'000;
  std::uint64_t stall_timeout_ms = 30'000;
  std::uint64_t store_lock_timeout_ms = 10'000;
};

class Worker {
 public:
  // Called once, before the data is opened and before a byte from a client is read.
  using LockDown = std::function<Status()>;

  Worker(Loop& loop, TenantId tenant, WorkerOptions options, LockDown lock_down);
  ~Worker();

  // Returns at once; run() does the rest.
  void start(UniqueFd link);
  // As if the supervisor had said Drain.
  void drain(DrainReason reason, std::uint64_t timeout_ms, ExitCode exit_code = ExitCode::clean);
  // Blocks until exit_code() is final. Doorbells are waited for beside the loop and not through it:
  // a request over a ring costs one epoll_wait.
  void run();
  [[nodiscard]] ExitCode exit_code() const noexcept { return exit_code_; }
  // True when a job is stuck beyond the drain timeout: leave by _exit, not by destructors.
  [[nodiscard]] bool must_leave_at_once() const noexcept { return !edits_.idle(); }

 private:
  // A job of the editor thread and, once it was applied, its result: that thread's from then on.
  struct WaitingEdit {
    EditJob job;
    std::optional<EditResult> result;
  };
  // The editor thread and what it works on, ended in this order.
  struct Edits {
    TenantData data;
    std::mutex mutex;
    std::deque<std::shared_ptr<WaitingEdit>> waiting;  // guarded by mutex
    std::optional<EditThread> thread;
    [[nodiscard]] bool idle() const noexcept { return !thread || thread->in_flight() == 0; }
  };
  enum class Phase : std::uint8_t { opening, serving, draining, stopped };

  [[nodiscard]] LinkEvents link_events();
  void try_open();
  void serve();
  [[nodiscard]] EditThread::Idle work_while_idle();
  void begin_background_work();
  [[nodiscard]] Status submit_edit(EditJob job);
  [[nodiscard]] Status submit_trial(EditJob job);
  void apply_waiting_edits();
  void on_edit_done(const EditResult& result);
  void apply_settings(const TenantSettings& settings);
  void take_settings(const TenantSettings& settings);
  void limit_route_memory(const TenantSettings& settings);
  void check_store_health();
  void send_status();
  void take_log_pipe(const UniqueFd& pipe);
  void finish_when_idle();
  void stop(ExitCode exit_code);

  Loop& loop_;
  WorkerOptions options_;
  LockDown lock_down_;
  TenantBinding binding_;
  Logger log_;
  TenantCaches caches_;
  HandlerServices services_;
  std::uint64_t metered_requests_ = 0;
  TrialHandler trials_;  // editor thread's
  Edits edits_;
  Dispatcher dispatcher_;
  std::unique_ptr<AttachmentSet> attachments_;
  SupervisorLink link_;
  Timer open_timer_;
  Timer drain_timer_;
  std::uint64_t open_deadline_ns_ = 0;
  Phase phase_ = Phase::opening;
  bool attachments_gone_ = false;
  ExitCode exit_code_ = ExitCode::failed;
  ExitCode drained_code_ = ExitCode::clean;
};

}  // namespace tenantd
