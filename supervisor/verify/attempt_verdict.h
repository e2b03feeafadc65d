// What the end of a probe process says about the promise it tried to break.
//
// Runs in: the supervisor. Pure functions; a packet is a stranger's word. An attempt has passed
// only if something that is known to stop it has done so; an end that nobody can explain is a
// failure.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "shared/contract/verification.h"
#include "supervisor/launch/cgroup.h"
#include "supervisor/tenant/worker.h"
#include "supervisor/verify/posture_probes.h"

namespace tenantd {

// All that the supervisor has learnt of one probe process.
struct ProbeEnd {
  bool tried = false;        // it said that it begins
  std::optional<int> error;  // it said how it went; 0: the attempt succeeded
  DeathCause cause;
  std::string jail_reason;
  bool late = false;               // it was killed for taking too long
  bool faulty = false;             // it was killed for what it sent
  CgroupUsage usage;               // of its group, after its death
  std::uint64_t cpu_quota_us = 0;  // of each period of its group
  LayerSet missing;                // layers that it ran without, as root tolerates
  // What it said of each RowProbe.
  std::array<std::optional<RowResult>, static_cast<std::size_t>(RowProbe::count)> rows{};
};

// Takes the jail's report, one of the probe's two messages or, between them, what it says of one
// RowProbe into `end`. False: anything else, in any other order or of another generation; `end` is
// as it was.
[[nodiscard]] bool take_probe_message(std::span<const std::byte> packet, std::uint64_t generation,
                                      ProbeEnd& end);

[[nodiscard]] Finding judge_attempt(const ProbeRow& row, const ProbeEnd& end);
[[nodiscard]] Finding judge_row(const ProbeRow& row, const ProbeEnd& end);

}  // namespace tenantd
