// One probe process: launched, given its order, watched to its end.
//
// Runs in: the supervisor. The process is hostile: its messages are few and checked, its
// lines are not kept, its time is bounded, and nobody mistakes its death for a worker's.
#pragma once

#include <functional>
#include <memory>

#include "supervisor/launch/launcher.h"
#include "supervisor/process/cgroup_reaper.h"
#include "supervisor/process/network_helpers.h"
#include "supervisor/process/program_process.h"
#include "supervisor/verify/attempt_verdict.h"

namespace tenantd {

// What all probe processes share; outlives them.
struct ProbeServices {
  Loop& loop;
  Launcher& launcher;
  CgroupBackend& cgroups;
  CgroupReaper& reaper;
  NetworkHelpers& network_helpers;
};

// Of ProbeAttempt::rows, by RowSide.
struct RowConnections {
  std::array<std::optional<TenantId>, 2> ids;
  std::array<UniqueFd, 2> sockets;
  RowPhase phase = RowPhase::meet;
};

class ProbeRun {
 public:
  static constexpr std::uint64_t timeout_ms = 20'000;  // of a host that is very busy

  // Called once, after the process has gone; may destroy the run.
  using OnEnd = std::function<void(const ProbeEnd& end)>;

  // Errors: as of Launcher::launch; then nothing is left and nothing is called.
  [[nodiscard]] static Result<std::unique_ptr<ProbeRun>> start(const ProbeServices& services,
                                                               LaunchRequest request,
                                                               ProbeOrder order, OnEnd on_end,
                                                               RowConnections rows = {});
  // Ends the process without calling anybody.
  ~ProbeRun();
  ProbeRun(const ProbeRun&) = delete;
  ProbeRun& operator=(const ProbeRun&) = delete;

 private:
  ProbeRun(const ProbeServices& services, const LaunchRequest& request, OnEnd on_end);
  void give(ProbeOrder order, RowConnections rows);
  void on_message(std::span<const std::byte> packet);
  void misbehaved();
  void conclude(const DeathCause& cause);

  const ProbeServices& services_;
  CgroupName cgroup_;
  LayerSet required_;
  LayerSet tolerated_;
  OnEnd on_end_;
  ProbeEnd end_;
  std::unique_ptr<ProgramProcess> process_;
  Timer timeout_;
};

}  // namespace tenantd
