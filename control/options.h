// tenantd-control's command line: only what tests move. The supervisor gives none.
#pragma once

#include <cstdint>
#include <string>

#include "control/attach/connection.h"
#include "control/ledger/ledger_store.h"

namespace tenantd {

struct ControlOptions {
  std::string data_directory;             // --data DIR
  ConnectionLimits connection;            // --frame-timeout-ms N
  LedgerLimits ledger;                    // --ledger-rows N, of all and of one tenant
  std::uint64_t first_sweep_ms = 60'000;  // --first-sweep-ms N, of what is past its retention
};

// Error: invalid_argument naming the option.
[[nodiscard]] Result<ControlOptions> parse_control_options(int count, char** arguments);

}  // namespace tenantd
