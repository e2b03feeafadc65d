// A worker: wires link, attachments, tenants and the editor thread, and ends them in order.
//
// Runs in: worker, loop thread. One tenant has it, or it is pooled: then tenants come and go.
// opening → serving → draining → stopped. A store that cannot be read does not keep the worker from
// serving: it says why in its status and in every answer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "shared/contract/launch_spec.h"
#include "worker/runtime/attachment_set.h"
#include "worker/runtime/edit_thread.h"
#include "worker/runtime/hosted_tenants.h"
#include "worker/runtime/supervisor_link.h"

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
  [[nodiscard]] bool must_leave_at_once() const noexcept { return edits_->in_flight() > 0; }

 private:
  enum class Phase : std::uint8_t { opening, serving, draining, stopped };

  [[nodiscard]] bool pooled() const noexcept { return options_.spec.shard_count > 0; }
  [[nodiscard]] LinkEvents link_events();
  [[nodiscard]] Status make_attachments();
  void attach(const Attach& request, UniqueFd socket);
  void try_open();
  void serve();
  void apply_settings(const TenantSettings& settings);
  void release(const ReleaseTenant& message);
  [[nodiscard]] std::uint64_t room_for_routes(const TenantSettings& settings) const;
  void tell_moved(const MoveRows& order, const Status& status);
  void on_job_done(HostedTenant& tenant);
  void sweep();
  void end_histories();
  void send_status();
  void take_log_pipe(const UniqueFd& pipe);
  void finish_when_idle();
  void stop(ExitCode exit_code);

  Loop& loop_;
  WorkerOptions options_;
  LockDown lock_down_;
  TenantId id_;  // the tenant's, or the pooled worker's own
  Logger log_;
  std::optional<RunningMark> mark_;  // of a pooled worker
  std::optional<EditThread> edits_;  // until destruction
  HostedServices hosted_;
  std::unique_ptr<AttachmentSet> attachments_;
  std::shared_ptr<HostedTenant> tenant_;    // null: a pooled worker
  std::unique_ptr<HostedTenants> tenants_;  // null: a worker of one tenant
  SupervisorLink link_;
  Timer open_timer_;
  Timer drain_timer_;
  Timer sweep_timer_;
  std::uint64_t open_deadline_ns_ = 0;
  Phase phase_ = Phase::opening;
  bool attachments_gone_ = false;
  ExitCode exit_code_ = ExitCode::failed;
  ExitCode drained_code_ = ExitCode::clean;
};

}  // namespace tenantd
