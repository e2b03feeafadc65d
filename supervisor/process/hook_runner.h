// Programs of the host's owner that are run when something happens to a tenant: on_violation of
// tenantd.toml, on_start and on_stop of a tenant's file.
//
// Runs in: the supervisor, which waits for none of them; each runs as tenantd's user, in a session
// of its own, without a shell: its arguments come from the caller, its environment is a PATH and
// TENANTD_TENANT, and of a call about a worker TENANTD_EVENT and TENANTD_GENERATION, its input is
// empty, and what it prints goes to the log at a bounded rate. One at a time per tenant, in the
// order of the calls; a bounded number runs and waits, and one that takes too long is killed with
// all that it has started. It dies with the supervisor. It is run only if it could not have been
// written by anybody but root and tenantd's user.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "shared/loop/loop.h"
#include "supervisor/process/program_process.h"

namespace tenantd {

struct HookLimits {
  std::size_t max_running = 1;
  std::size_t max_waiting = 16;
  std::size_t max_waiting_per_tenant = 16;
  std::uint64_t timeout_ms = 30'000;
};

struct HookCall {
  std::string program;
  std::string event;  // "on_start"
  std::string tenant;
  std::uint64_t generation = 0;        // of the tenant's worker; 0: it is not about one
  std::vector<std::string> arguments;  // after the program and the tenant
};

class HookRunner {
 public:
  // Tells what became of a call, and what it printed. `problem`: it was not run, or not to its
  // good end. Must not call run() or stop().
  using Note =
      std::function<void(bool problem, const std::string& message, std::string_view tenant)>;
  HookRunner(Loop& loop, const HookLimits& limits, Note note);
  ~HookRunner();
  HookRunner(const HookRunner&) = delete;
  HookRunner& operator=(const HookRunner&) = delete;

  // Without a program nothing happens.
  void run(HookCall call);
  // Kills what runs; nothing more is run.
  void stop();
  [[nodiscard]] bool idle() const noexcept;

 private:
  struct Run;
  void start_next();
  [[nodiscard]] bool is_running(const std::string& tenant) const;
  [[nodiscard]] Status start(HookCall call);
  void on_died(Run& run, const DeathCause& cause);

  Loop& loop_;
  HookLimits limits_;
  Note note_;
  std::deque<HookCall> waiting_;
  std::list<Run> running_;  // callbacks hold their addresses
  bool stopped_ = false;
};

}  // namespace tenantd
