// Puts a tenant's worker under load and measures how long its answers take.
//
// Runs in: tenantctl, a thread a connection. Closed loop: each connection keeps `depth` requests in
// flight, and a request's time counts from its sending. Open loop: requests are due at even times
// whatever the answers do, and their time counts from when they were due: a worker that stalls is
// charged for every request that had to wait, sent or not (no coordinated omission).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/include/tenantd/client.h"
#include "client/tenantctl/load/load_histogram.h"

namespace tenantd {

struct LoadPlan {
  std::string tenant;
  ConnectOptions connect;  // its timeout is each request's
  bool ping = false;       // instead of routing
  // Texts to route in turn; none: random embeddings of the tenant's dimension.
  std::vector<std::string> texts;
  std::uint32_t connections = 1;
  std::uint32_t depth = 1;        // in flight on each connection; with a rate: at most
  double rate_per_second = 0;     // of all connections together; 0: closed loop
  std::uint64_t warm_up_ms = 0;   // not measured
  std::uint64_t duration_ms = 0;  // 0: until `count`
  std::uint64_t count = 0;        // measured requests of all connections; 0: until the time is over
};

struct LoadResult {
  LoadHistogram latency;       // of what was answered, and of what was due and never sent
  std::uint64_t answered = 0;  // after the warm-up, like all below
  std::uint64_t unsent = 0;    // due, but no room to send it before the end
  std::map<std::string, std::uint64_t> errors;  // by the error's code
  std::uint64_t elapsed_ns = 0;                 // from the end of the warm-up to the last answer
  std::uint64_t cpu_ns = 0;  // that this program used meanwhile, warm-up included
  std::uint64_t reconnects = 0;
  Transport transport = Transport::ring;

  [[nodiscard]] std::uint64_t failed() const noexcept;
};

// Blocks for the warm-up and the duration and until outstanding answers are in. Errors: those of
// attaching; invalid_argument (a text over its bound); unavailable (no thread).
[[nodiscard]] Result<LoadResult> run_load(const LoadPlan& plan);

}  // namespace tenantd
