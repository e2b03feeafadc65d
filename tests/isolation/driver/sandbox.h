// Starts one probe with some of the layers, by the production launcher, and tells how it ended.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "supervisor/launch/launcher.h"
#include "tests/isolation/driver/launcher_steps.h"
#include "tests/isolation/driver/victims.h"
#include "tests/isolation/mutant_jail/steps.h"

namespace tenantd {

inline constexpr LayerSet cgroup_layers = [] {
  LayerSet layers;
  for (const Layer layer :
       {Layer::cgroup_cpu, Layer::cgroup_memory, Layer::cgroup_pids, Layer::cgroup_io}) {
    layers.add(layer);
  }
  return layers;
}();

struct Trial {
  std::string attempt;
  LayerSet layers;       // the others are off
  StepMask skipped = 0;  // of the jail, while it reports success
  LauncherMask skipped_by_launcher = 0;
  bool at_start = false;  // before the second stage
  bool with_cgroup = false;
  bool shipped_jail = false;
  bool promised_cgroup = false;                // the posture is to show one, although there is none
  std::function<void(LaunchRequest&)> adjust;  // last word on the request; may be empty
  std::function<void(bool)> of_driver;         // true: before the launch; false: undo; may be empty
};

class Sandbox {
 public:
  Sandbox();
  ~Sandbox();

  // `allowed`, the name of the errno or of the signal that stopped it, or what else happened
  // ("does not start: …").
  [[nodiscard]] std::string run(const Trial& trial);
  // What the posture check has to say about a live program, one line a deviation; expected is what
  // all layers of this host promise.
  [[nodiscard]] std::vector<std::string> deviations(const Trial& trial);

  [[nodiscard]] const HostCapabilities& host() const noexcept { return host_; }
  [[nodiscard]] LayerSet available() const noexcept { return host_.available; }
  [[nodiscard]] bool privileged() const noexcept { return host_.privileged; }
  [[nodiscard]] const std::string& cgroup_explanation() const noexcept { return explanation_; }

 private:
  [[nodiscard]] LaunchRequest make_request(const Trial& trial) const;
  [[nodiscard]] Result<LaunchedProcess> launch(const Trial& trial, LaunchRequest& request);
  [[nodiscard]] std::string verdict(const Trial& trial, const LaunchRequest& request,
                                    const std::string& log, int status);
  // What the probe cannot see itself: whether its success reached the host.
  [[nodiscard]] std::string confirmed(const Trial& trial, const LaunchRequest& request,
                                      const std::string& verdict);

  std::string explanation_;
  std::unique_ptr<CgroupBackend> cgroups_;
  HostCapabilities host_;
  Victims victims_;
  std::uint64_t generation_ = 0;
};

}  // namespace tenantd
