// Deletes the events of tenants that are past their retention_days, soon after the start and then
// once a day.
//
// Runs in: control. Which tenants have old events the ledger knows; how long a tenant keeps them
// the supervisor says, one tenant at a time. Of a tenant that it does not know any more nothing is
// deleted.
#pragma once

#include <cstdint>
#include <string>

#include "control/ledger/ledger.h"
#include "control/link/supervisor_link.h"
#include "shared/loop/loop.h"

namespace tenantd {

class RetentionSweep {
 public:
  static constexpr std::uint64_t every_ms = 24ULL * 60 * 60 * 1000;

  // All is borrowed and outlives it.
  RetentionSweep(Loop& loop, SupervisorLink& link, Ledger& ledger, std::uint64_t first_ms);

 private:
  void run();
  void next();

  SupervisorLink& link_;
  Ledger& ledger_;
  std::string tenant_;       // the last one that was asked about
  std::int64_t now_ms_ = 0;  // of this run
  bool running_ = false;
  Timer timer_;
};

}  // namespace tenantd
