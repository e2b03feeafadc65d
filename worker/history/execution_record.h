// What is kept of a request that was answered: who asked, what the answer was, how long it took.
// Never what was asked.
//
// Runs in: worker. Made on the loop thread, read by the editor thread. A fixed size, so that
// recording one needs no memory.
#pragma once

#include <cstdint>

#include "shared/base/id_limits.h"
#include "shared/contract/fixed_text.h"

namespace tenantd {

// Who is attached, as the supervisor has authenticated it.
struct Caller {
  std::uint32_t uid = UINT32_MAX;  // nobody's
  std::uint32_t token_tag = 0;     // of the token that was shown, see Attach; 0: none
  bool is_operator = false;
  friend bool operator==(const Caller&, const Caller&) = default;
};

struct ExecutionRecord {
  std::int64_t time_us = 0;  // UTC since 1970
  std::uint64_t request_id = 0;
  Caller caller;
  std::uint32_t latency_us = 0;
  float confidence = 0;
  std::uint8_t outcome = 0;  // an ExecutionOutcome of the protocol
  FixedText<max_route_id_bytes + 1> route{};
  friend bool operator==(const ExecutionRecord&, const ExecutionRecord&) = default;
};

}  // namespace tenantd
