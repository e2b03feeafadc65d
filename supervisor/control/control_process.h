// The supervisor's side of tenantd-control: keeps it running, feeds it events and lines, takes
// commands.
//
// Runs in: supervisor. Control is launched like a worker, with a uid, a cgroup and a jail of its
// own. While it is away a bounded number of events waits for it; log lines do not.
#pragma once

#include <deque>
#include <memory>
#include <random>

#include "supervisor/control/command_queue.h"
#include "supervisor/process/workforce.h"
#include "supervisor/tenant/restart_policy.h"

namespace tenantd {

struct ControlServices {
  Loop& loop;
  Launcher& launcher;
  CgroupBackend& cgroups;
  CgroupReaper& reaper;
  UidAllocator uids;
  InstallationPaths paths;
  // Of the control process itself: for the supervisor's log.
  std::function<void(bool problem, const std::string& message, pid_t pid)> on_note;
  std::function<void(std::string_view line, pid_t pid, std::uint64_t suppressed)> on_line;
  // It is ready (again), or gone.
  std::function<void()> on_gone;
};

class ControlProcess {
 public:
  static constexpr std::size_t max_waiting_events = 512;
  // Log lines give way to answers and events.
  static constexpr std::size_t max_queued_for_lines = 64;

  ControlProcess(ControlServices services, CommandTargets targets, const DaemonConfig& config,
                 std::uint64_t first_generation);
  ~ControlProcess();

  void start();
  // Asks it to end; on_gone follows (at once if it does not run). Killed after the drain timeout.
  void stop();
  void configure(const DaemonConfig& config);
  void send_event(Event event);
  void send_line(LogLine line);
  // Error: control is not ready, or its queue is full; the socket is closed then.
  [[nodiscard]] Status attach(Attach attach, UniqueFd socket);
  [[nodiscard]] bool runs() const noexcept { return process_ != nullptr; }
  [[nodiscard]] pid_t pid() const noexcept { return process_ ? process_->pid() : 0; }  // 0: none
  // Workers' lines that control could not take; the supervisor's log has them.
  [[nodiscard]] std::uint64_t lines_dropped() const noexcept { return lines_dropped_; }

 private:
  [[nodiscard]] Result<LaunchedProcess> launch();
  void on_message(std::span<const std::byte> packet);
  void on_died(const DeathCause& cause);
  void retry_later(const std::string& why);
  void flush_events();
  [[nodiscard]] CommandQueue::Answers make_answers();
  template <class T>
  void answer(T message);

  ControlServices services_;
  RestartPolicyConfig restart_;
  LayerSet tolerated_;
  std::uint64_t start_timeout_ms_;
  std::uint64_t drain_timeout_ms_;
  std::uint64_t generation_;
  RestartPolicy restarts_;
  std::mt19937_64 random_;
  std::unique_ptr<ProgramProcess> process_;
  bool ready_ = false;
  bool stopping_ = false;
  std::deque<Event> events_;
  std::uint64_t lines_dropped_ = 0;
  CommandQueue commands_;
  Timer timer_;  // the next start, or the end of this process' patience
};

}  // namespace tenantd
