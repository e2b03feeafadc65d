// A probe process that may be compromised against the supervisor's reading of its messages, and the
// verdict on what they leave.
//
// The input is a row of packets: a little-endian u16 length, then so many bytes. A message that is
// refused changes nothing; no row of messages makes an attempt pass that the kernel has not
// stopped.
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "supervisor/verify/attempt_verdict.h"

using namespace tenantd;

namespace {

constexpr std::uint64_t generation = 1;

void require(bool holds) {
  if (!holds) std::abort();
}

// The process is gone without a signal, and its group's counters say nothing.
void judge(const ProbeEnd& end) {
  for (const ProbeRow& row : probe_rows()) {
    if (row.source != ProbeSource::attempt) continue;
    const Finding finding = judge_attempt(row, end);
    require(!finding.evidence.empty());
    if (finding.outcome == ProbeOutcome::passed) {
      require(end.tried && end.error && *end.error != 0);
      require(row.attempt != ProbeAttempt::memory && row.attempt != ProbeAttempt::cpu);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ProbeEnd end;
  end.cause.kind = DeathCause::Kind::exited;
  while (size >= 2) {
    std::uint16_t length = 0;
    std::memcpy(&length, data, sizeof length);
    data += 2;
    size -= 2;
    const std::size_t taken = length < size ? length : size;
    const bool tried = end.tried;
    const auto error = end.error;
    if (!take_probe_message(std::as_bytes(std::span(data, taken)), generation, end)) {
      require(end.tried == tried && end.error == error);
    }
    require(!tried || end.tried);
    judge(end);
    data += taken;
    size -= taken;
  }
  return 0;
}
