// Two tenants that share a worker and a shard: what one of them can learn of the other, and do to
// it.
//
// Runs in: tenantd-probe. Both are tenants that no file can have; the worker was told of them by
// the supervisor as of any other. One plants routes and a cached value, the other goes after them.
// What the verified tenant keeps is never asked for: that none of it comes all the same is counted.
#pragma once

#include <functional>

#include "shared/contract/verification.h"
#include "shared/os/fd.h"

namespace tenantd::probe {

struct RowTenants {
  UniqueFd intruder;
  UniqueFd owner;
  FixedText<64> owner_id{};
  std::uint64_t nonce = 0;  // makes what is planted unlike anything that was there before
};

using TellRow = std::function<void(RowProbe probe, RowVerdict verdict, const std::string& text)>;

// Tells each of the probes once, and leaves nothing behind.
void run_row_probes(RowTenants tenants, const TellRow& tell);

}  // namespace tenantd::probe
