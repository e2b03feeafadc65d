// The program of tenantd.toml that is told of a violation: to page somebody, to stop a tenant.
//
// Runs in: the supervisor; the program runs as tenantd's user, in a session of its own, without a
// shell: its arguments are the tenant's id and the names of the probes that failed, its environment
// is a PATH and TENANTD_TENANT, its input is empty, and what it prints goes to the log. One at a
// time, a bounded number waits, and one that takes too long is killed with all that it has started.
// It is run only if it could not have been written by anybody but root and tenantd's user.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/loop/loop.h"
#include "supervisor/process/program_process.h"

namespace tenantd {

class ViolationHook {
 public:
  static constexpr std::size_t max_waiting = 16;
  static constexpr std::uint64_t timeout_ms = 30'000;

  // Tells what became of it, and what it printed.
  using Note =
      std::function<void(bool problem, const std::string& message, std::string_view tenant)>;
  ViolationHook(Loop& loop, Note note);
  ~ViolationHook();
  ViolationHook(const ViolationHook&) = delete;
  ViolationHook& operator=(const ViolationHook&) = delete;

  void run(const std::string& program, std::string_view tenant,
           const std::vector<std::string_view>& failures);
  // Kills what runs; nothing more is run.
  void stop();

 private:
  struct Call {
    std::string program;
    std::string tenant;
    std::vector<std::string> arguments;
  };
  void start_next();
  [[nodiscard]] Status start(const Call& call);
  void on_died(const DeathCause& cause);
  void kill_session() noexcept;

  Loop& loop_;
  Note note_;
  std::deque<Call> waiting_;
  std::string tenant_;  // of the one that runs
  bool late_ = false;
  bool stopped_ = false;
  std::unique_ptr<ProgramProcess> process_;
  Timer timeout_;
};

}  // namespace tenantd
