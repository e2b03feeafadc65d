// The outside probes of a live worker: its posture, sorted by what each row of the table is about.
//
// Runs in: the supervisor. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "supervisor/launch/posture.h"
#include "supervisor/verify/file_probes.h"
#include "supervisor/verify/promises.h"

namespace tenantd {

// What the host and root's settings leave of the promises.
struct PromiseBounds {
  LayerSet applied;    // of the live worker, or what a launch would give
  LayerSet tolerated;  // named in tenantd.toml
  LayerSet unwanted;   // the tenant's file asks for none of it: I/O bounds
};

// Nothing when the row's promise holds on this host. Else not_promised, or failed where a layer is
// missing that nobody tolerates.
[[nodiscard]] Finding promise_of(const ProbeRow& row, const PromiseBounds& bounds);

// The finding of one posture row. `deviations` are all of the worker, of other workers' namespaces
// and limits too; `expected` says which facts were looked at.
[[nodiscard]] Finding probe_posture(const ProbeRow& row, const Posture& posture,
                                    const ExpectedPosture& expected,
                                    const std::vector<std::string>& deviations);

// The row that a fact belongs to: every fact has exactly one.
[[nodiscard]] const ProbeRow* row_of_fact(std::string_view fact) noexcept;

// Takes out of `deviations` what only a worker program can do for itself (docs/worker-contract.md):
// that it is not dumpable, and the second system call filter on top of the jail's. Of a program of
// the tenant's own nobody promises it.
[[nodiscard]] std::vector<std::string> take_duties_of_program(std::vector<std::string>& deviations);

// As it is said of a row that holds but for those of `duties` that are about it.
[[nodiscard]] Finding without_duties(const ProbeRow& row, Finding finding,
                                     const std::vector<std::string>& duties);

}  // namespace tenantd
