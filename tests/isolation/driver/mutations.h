// Every single step of the confinement, and who notices when it is left out in silence.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "shared/contract/process_contract.h"
#include "supervisor/launch/launcher.h"
#include "tests/isolation/driver/launcher_steps.h"
#include "tests/isolation/mutant_jail/steps.h"

namespace tenantd {

// What is left out. Exactly one member is set in a mutation.
struct LeftOut {
  StepMask jail = 0;
  LauncherMask launcher = 0;
  LayerSet layers = {};  // that the launcher provides: namespaces
  bool second_stage = false;
  bool group = false;  // the process is in none
  void (*limits)(ResourceLimits& limits) = nullptr;
};

struct Mutation {
  std::string_view name;
  LeftOut step;
  // Who notices: a fact of the posture, or an attempt that now ends with `verdict`. Both empty: the
  // program does not start.
  std::string_view fact;
  std::string_view attempt = {};
  std::string_view verdict = {};
  // Left out on both sides of the comparison: guards that would hide this one; and why.
  LeftOut also = {};
  std::string_view because = {};
  // State of the supervisor that the step takes away; called with true before, false after.
  void (*of_driver)(bool before) = nullptr;
};

[[nodiscard]] std::span<const Mutation> mutations();

}  // namespace tenantd
