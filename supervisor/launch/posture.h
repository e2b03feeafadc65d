// The effective confinement of a live process, read from the kernel from outside, thread by thread.
//
// Runs in: the supervisor. Sources: proc(5), ptrace(2) "Ptrace access mode checking". Where /proc
// refuses (an unprivileged supervisor and a process that is not dumpable) the fact reads
// "unreadable (unprivileged)" and is no deviation. What cannot be seen from outside: Landlock's
// rules and securebits; the jail's report and the escape probes speak for those.
#pragma once

#include <sys/types.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/contract/control_link.h"
#include "shared/contract/launch_spec.h"
#include "supervisor/launch/cgroup.h"

namespace tenantd {

inline constexpr std::string_view unreadable_fact = "unreadable (unprivileged)";

// Facts by name; of a property that differs between threads the value is "mixed: a, b".
struct Posture {
  std::map<std::string, std::string> facts;
};

// What a fact must be, by its name: the text itself; "own": a namespace that is not the host's;
// "*text": anything that ends with text.
using ExpectedPosture = std::map<std::string, std::string>;

// Blocks for about a millisecond: whether the process is dumpable is found out by a throw-away
// child with the process's identity and nothing else, which tries to look at it. Errors: not_found
// when the process has gone.
[[nodiscard]] Result<Posture> read_posture(pid_t pid);

// What a program must look like, from what the jail reported: the one place that says so.
// `locked_down`: it is one of ours and has said that it is ready, so the second stage must be
// there.
[[nodiscard]] ExpectedPosture expected_posture(const LaunchSpec& spec, LayerSet applied,
                                               bool locked_down);

// One line a difference: "name: expected X, is Y".
[[nodiscard]] std::vector<std::string> posture_deviations(const Posture& posture,
                                                          const ExpectedPosture& expected);

// Adds the limits of its control group to the facts; one line a limit that does not hold.
[[nodiscard]] std::vector<std::string> compare_limits(std::span<const CgroupSetting> settings,
                                                      Posture& posture);

// One line for each namespace that is not the host's and that `other` lives in too; `name` says who
// that is. A process that has gone shares nothing.
[[nodiscard]] std::vector<std::string> shared_namespaces(const Posture& posture, pid_t other,
                                                         std::string_view name);

// The same for CPUs: one line if some thread of `other` may run on one of `dedicated`.
[[nodiscard]] std::vector<std::string> shared_cpus(const CpuSet& dedicated, pid_t other,
                                                   std::string_view name);

// Fills facts, deviations and as_expected; texts that do not fit are cut.
void fill_posture_record(const Posture& posture, const std::vector<std::string>& deviations,
                         PostureRecord& record);

}  // namespace tenantd
