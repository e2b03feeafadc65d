// The worker's side of a ring, and the one descriptor on which it hears all its clients' doorbells.
//
// Runs in: worker. Never blocks on anything a client holds: it only polls the eventfd
// (edge-triggered, never read, never written) and wakes the client by FUTEX_WAKE on a word in its
// own memory.
//
//   auto ring = WorkerRing::accept(client_fd, ring_bytes);       // client_fd came with
//   choose_transport doorbells.add(ring->doorbell_fd(), token);                   // token: the
//   attachment's number send ring_ready with {ring->memory_fd(), ring->doorbell_fd()};
//   ring->close_memory_fd();
// On a doorbell (DoorbellSet::fd() readable → take() → tokens), and once after accept:
//   do { ring.wake_up(); pop…, try_push…; ring.publish(); } while (ring.prepare_sleep(full) ==
//   work);
#pragma once

#include <span>

#include "shared/os/fd.h"
#include "shared/ring/adaptive_spin.h"
#include "shared/ring/ring.h"
#include "shared/ring/ring_memory.h"

namespace tenantd {

class WorkerRing {
 public:
  // Checks and maps the client's memory, makes the own one and the doorbell. Starts asleep: the
  // client's first frame rings. Errors: invalid_argument, protocol_error (client_memory is not what
  // was agreed), internal with errno.
  [[nodiscard]] static Result<WorkerRing> accept(UniqueFd client_memory, std::uint32_t ring_bytes);

  [[nodiscard]] int memory_fd() const noexcept { return own_.fd(); }
  [[nodiscard]] int doorbell_fd() const noexcept { return doorbell_.get(); }
  void close_memory_fd() noexcept { own_.close_fd(); }  // once sent

  // As RingEndpoint's; see there.
  [[nodiscard]] Result<std::optional<FrameView>> pop(FrameBuffer& buffer) {
    return endpoint_.pop(buffer);
  }
  [[nodiscard]] Result<PushOutcome> try_push(const FrameHeader& header,
                                             std::span<const std::byte> payload) {
    return endpoint_.try_push(header, payload);
  }
  [[nodiscard]] bool readable() const noexcept { return endpoint_.readable(); }
  // Whether the client ran on another CPU last: then it can take answers while more are made.
  [[nodiscard]] bool peer_is_elsewhere() const noexcept {
    return current_cpu() != endpoint_.peer_cpu();
  }
  // Shows what was pushed and freed; wakes the client if it sleeps on it (one FUTEX_WAKE a sleep).
  void publish() noexcept;
  // for_space: answers are waiting because the ring was full.
  [[nodiscard]] SleepDecision prepare_sleep(bool for_space) noexcept;
  // Until there is room for answers; frames wait meanwhile.
  [[nodiscard]] SleepDecision prepare_sleep_for_space() noexcept;
  void wake_up() noexcept;
  // Looks at the ring for at most AdaptiveSpin::budget_ns if that pays; true when it became
  // readable. For use before prepare_sleep, by a worker that has nothing else to do. now_ns becomes
  // what its clock said last (CLOCK_MONOTONIC), where it looked at one.
  [[nodiscard]] bool spin_for_frames(std::uint64_t& now_ns) noexcept;
  // Yields to a client on the same CPU a few times if that pays; true when the ring became
  // readable. Others may run meanwhile, for as long as the scheduler lets them.
  [[nodiscard]] bool yield_for_frames() noexcept;

 private:
  WorkerRing(RingMemory own, PeerRingMemory peer, UniqueFd doorbell) noexcept;
  void ring_client() noexcept;

  RingMemory own_;
  PeerRingMemory peer_;
  UniqueFd doorbell_;
  RingEndpoint endpoint_;
  AdaptiveSpin spin_;
  AdaptiveYield yield_;
  std::uint64_t idle_since_ns_ = 0;
};

// An epoll set of doorbells, and of what else its owner waits for: register its fd() for
// readability with a loop, then take(); or wait() on it.
class DoorbellSet {
 public:
  [[nodiscard]] static Result<DoorbellSet> create();

  [[nodiscard]] int fd() const noexcept { return epoll_.get(); }
  // `token` comes back from take(). The doorbell must stay open until remove().
  [[nodiscard]] Status add(int doorbell_fd, std::uint64_t token);
  void remove(int doorbell_fd) noexcept;
  // Any other descriptor, told as long as it is readable (level-triggered). It must stay open.
  [[nodiscard]] Status add_descriptor(int fd, std::uint64_t token);
  // Tokens of doorbells rung since the last call, at most tokens.size(); never blocks. A full
  // result means: there may be more, fd() stays readable.
  [[nodiscard]] std::span<const std::uint64_t> take(std::span<std::uint64_t> tokens) noexcept {
    return wait(tokens, 0);
  }
  // The same, but blocks for at most timeout_ms (-1: for ever) until there is one. Empty also after
  // a signal.
  [[nodiscard]] std::span<const std::uint64_t> wait(std::span<std::uint64_t> tokens,
                                                    int timeout_ms) noexcept;

 private:
  [[nodiscard]] Status add(int fd, std::uint64_t token, std::uint32_t events);
  explicit DoorbellSet(UniqueFd epoll) noexcept : epoll_(std::move(epoll)) {}
  UniqueFd epoll_;
};

}  // namespace tenantd
