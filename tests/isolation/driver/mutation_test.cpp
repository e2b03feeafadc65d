// Leaves out each single step of the confinement, everything else on: somebody must notice.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "supervisor/jail/privileges.h"
#include "supervisor/launch/clone_child.h"
#include "tests/isolation/driver/mutations.h"
#include "tests/isolation/driver/sandbox.h"

using namespace tenantd;

namespace {

constexpr std::string_view holding = "descriptors.hold";

Trial trial_of(const Sandbox& sandbox, const Mutation& mutation, bool mutated) {
  Trial trial;
  trial.attempt = mutation.attempt.empty() ? holding : mutation.attempt;
  trial.layers = sandbox.available();
  trial.with_cgroup = mutation.step.limits != nullptr || mutation.step.group;
  const auto leave_out = [&trial](const LeftOut& out) {
    trial.skipped |= out.jail;
    trial.skipped_by_launcher |= out.launcher;
    trial.layers = trial.layers.without(out.layers);
    trial.at_start = trial.at_start || out.second_stage;
    if (out.group) trial.with_cgroup = false;
    if (out.limits != nullptr) {
      trial.adjust = [set = out.limits](LaunchRequest& request) { set(request.limits); };
    }
  };
  leave_out(mutation.also);
  if (mutated) leave_out(mutation.step);
  trial.promised_cgroup = mutation.step.group;
  if (mutation.of_driver != nullptr) trial.of_driver = mutation.of_driver;
  return trial;
}

bool tells_of(const std::vector<std::string>& lines, std::string_view fact) {
  return std::any_of(lines.begin(), lines.end(), [fact](const std::string& line) {
    return line.starts_with(std::string(fact) + ":");
  });
}

void check_fact(Sandbox& sandbox, const Mutation& mutation) {
  const auto before = sandbox.deviations(trial_of(sandbox, mutation, false));
  const auto after = sandbox.deviations(trial_of(sandbox, mutation, true));
  for (const std::string& line : before) INFO(line);
  std::string all;
  for (const std::string& line : after) all += line + "\n";
  CAPTURE(all);
  CHECK_FALSE(tells_of(before, mutation.fact));
  CHECK(tells_of(after, mutation.fact));
}

void check_attempt(Sandbox& sandbox, const Mutation& mutation) {
  const std::string before = sandbox.run(trial_of(sandbox, mutation, false));
  const std::string after = sandbox.run(trial_of(sandbox, mutation, true));
  CHECK(before != after);
  CHECK(after == mutation.verdict);
}

// In mount namespaces of a copy of this process: a jail that fails in the middle may leave mounts.
void check_refusal(Sandbox& sandbox, const Mutation& mutation) {
  constexpr int starts_before = 1;
  constexpr int starts_after = 2;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int seen = 0;
    if (!enter_own_namespaces()) ::_exit(starts_after);
    const auto before = sandbox.deviations(trial_of(sandbox, mutation, false));
    if (!tells_of(before, "does not start")) seen |= starts_before;
    const auto after = sandbox.deviations(trial_of(sandbox, mutation, true));
    if (!tells_of(after, "does not start")) seen |= starts_after;
    ::_exit(seen);
  }
  const int status = reap_child(child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == starts_before);
}

// The host may allow so little itself that leaving the step out changes nothing.
bool host_limits_as_much(const Mutation& mutation) {
  bool as_much = false;
  if (mutation.of_driver != nullptr) mutation.of_driver(true);
  for (const ResourceBound& bound : resource_bounds(LaunchSpec{})) {
    rlimit now{};
    if (mutation.fact != std::string("limit_") + bound.name) continue;
    as_much = ::getrlimit(bound.resource, &now) == 0 && now.rlim_max == 0;
  }
  if (mutation.of_driver != nullptr) mutation.of_driver(false);
  return as_much;
}

LayerSet required_of(const Mutation& mutation) {
  LayerSet layers = LayerSet::all().without(cgroup_layers);
  if (mutation.step.limits != nullptr || mutation.step.group) {
    for (const Layer layer : {Layer::cgroup_cpu, Layer::cgroup_memory, Layer::cgroup_pids}) {
      layers.add(layer);
    }
  }
  return layers;
}

}  // namespace

TEST_CASE("every step of the jail and of the launcher is left out by a mutation") {
  StepMask jail = 0;
  LauncherMask launcher = 0;
  for (const Mutation& mutation : mutations()) {
    jail |= mutation.step.jail;
    launcher |= mutation.step.launcher;
  }
  CHECK(jail == mask_of(JailStep::count) - 1);
  CHECK(launcher == mask_of(LauncherStep::count) - 1);
}

TEST_CASE("with nothing left out the posture is the expected one") {
  Sandbox sandbox;
  Trial trial;
  trial.attempt = holding;
  trial.layers = sandbox.available();
  trial.shipped_jail = true;
  for (const std::string& line : sandbox.deviations(trial)) FAIL_CHECK(line);
}

TEST_CASE("a step that is left out is noticed") {
  Sandbox sandbox;
  if (!sandbox.privileged()) {
    MESSAGE("skipped: mutations of the launcher need root");
    return;
  }
  std::string untried;
  for (const Mutation& mutation : mutations()) {
    CAPTURE(mutation.name);
    CAPTURE(mutation.because);
    const LayerSet missing = required_of(mutation).without(sandbox.available());
    if (!missing.empty()) {
      untried.append(mutation.name).append(" (lacks ").append(layer_list(missing)).append(") ");
    } else if (host_limits_as_much(mutation)) {
      untried.append(mutation.name).append(" (the host's own limit is 0) ");
    } else if (!mutation.fact.empty()) {
      check_fact(sandbox, mutation);
    } else if (!mutation.attempt.empty()) {
      check_attempt(sandbox, mutation);
    } else {
      check_refusal(sandbox, mutation);
    }
  }
  if (!untried.empty()) MESSAGE("skipped: no mutation of: ", untried);
}
