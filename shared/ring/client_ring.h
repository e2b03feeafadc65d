// The client's side of a ring.
//
// Runs in: client library, in any program. It trusts the worker with nothing: what it reads is
// validated, and its doorbell is a write that cannot block (client_ring.cpp).
//
//   auto own = RingMemory::create(welcome.ring_bytes);  send choose_transport with own->fd()
//   auto ring = ClientRing::open(std::move(*own), worker_fd, doorbell_fd);   // came with
//   ring_ready ring->try_push(…); ring->publish(); while (!(frame = ring->pop(buffer)))
//   ring->wait(until_ns);
#pragma once

#include "shared/os/fd.h"
#include "shared/ring/adaptive_spin.h"
#include "shared/ring/ring.h"
#include "shared/ring/ring_memory.h"

namespace tenantd {

class ClientRing {
 public:
  // Errors: protocol_error (a descriptor is not what was agreed), internal with errno.
  [[nodiscard]] static Result<ClientRing> open(RingMemory own, UniqueFd worker_memory,
                                               UniqueFd doorbell);

  // As RingEndpoint's; see there.
  [[nodiscard]] Result<std::optional<FrameView>> pop(FrameBuffer& buffer) {
    auto frame = endpoint_.pop(buffer);
    if (frame && *frame && (*frame)->header.flags != 0) {
      return fail(ErrorCode::protocol_error, "the server sent an unknown frame");
    }
    return frame;
  }
  [[nodiscard]] Result<PushOutcome> try_push(const FrameHeader& header,
                                             std::span<const std::byte> payload) {
    return endpoint_.try_push(header, payload);
  }
  [[nodiscard]] bool readable() const noexcept { return endpoint_.readable(); }
  // Whether the worker ran on another CPU last: then it can answer while more is pushed.
  [[nodiscard]] bool peer_is_elsewhere() const noexcept {
    return current_cpu() != endpoint_.peer_cpu();
  }
  // Shows what was pushed and freed; rings the worker if it sleeps on it.
  void publish() noexcept;

  // Returns when there may be a frame (with for_space: or room for one), or at `until_ns`
  // (CLOCK_MONOTONIC), or at a signal. Spins or yields first if that pays, then sleeps on the
  // worker's futex word. It cannot see the worker's death: bound until_ns and look at the socket in
  // between.
  void wait(std::uint64_t until_ns, bool for_space = false) noexcept;
  // For tests and benchmarks: wait() sleeps at once when off.
  void set_spinning(bool on) noexcept { spinning_ = on; }

 private:
  ClientRing(RingMemory own, PeerRingMemory peer, UniqueFd doorbell) noexcept;
  [[nodiscard]] bool spin_until(std::uint64_t until_ns, std::uint64_t& now_ns) noexcept;
  void ring_worker() noexcept;

  RingMemory own_;
  PeerRingMemory peer_;
  UniqueFd doorbell_;
  RingEndpoint endpoint_;
  AdaptiveSpin spin_;
  AdaptiveYield yield_;
  bool spinning_ = true;
};

}  // namespace tenantd
