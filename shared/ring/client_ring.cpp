#include "shared/ring/client_ring.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "shared/ring/futex.h"

namespace tenantd {

ClientRing::ClientRing(RingMemory own, PeerRingMemory peer, UniqueFd doorbell) noexcept
    : own_(std::move(own)),
      peer_(std::move(peer)),
      doorbell_(std::move(doorbell)),
      endpoint_({&own_.header(), own_.data(), &peer_.header(), peer_.data(), own_.ring_bytes()}) {}

Result<ClientRing> ClientRing::open(RingMemory own, UniqueFd worker_memory, UniqueFd doorbell) {
  auto peer = PeerRingMemory::open(std::move(worker_memory), own.ring_bytes());
  if (!peer) return tl::unexpected(peer.error());
  // An eventfd has no file type. A pipe or socket would let the worker raise SIGPIPE here; a file
  // would let it choose what is written to. Whether it says O_NONBLOCK is no matter: the worker
  // could change that at any time, and ring_worker() does not rely on it.
  struct stat info {};
  if (::fstat(doorbell.get(), &info) != 0 || (info.st_mode & S_IFMT) != 0) {
    return fail(ErrorCode::protocol_error, "the worker's doorbell is not an eventfd");
  }
  own.close_fd();
  return ClientRing(std::move(own), std::move(*peer), std::move(doorbell));
}

// Adds nothing: a write to an eventfd blocks only when the sum would pass 2^64-2, and what is there
// is never more, so that this returns at once whatever the worker did to the counter and to
// O_NONBLOCK, both of which belong to the description that it shares (eventfd(2)). Pollers are
// told all the same, if the counter is not zero: WorkerRing::accept begins with one. A failure
// shows as the socket's end or the caller's deadline.
void ClientRing::ring_worker() noexcept {
  const std::uint64_t nothing = 0;
  const ssize_t written = ::write(doorbell_.get(), &nothing, sizeof nothing);
  (void)written;
}

void ClientRing::publish() noexcept {
  endpoint_.publish_own_cpu(current_cpu());
  if (endpoint_.publish()) ring_worker();
}

// now_ns: in, the time; out, what the clock said last.
bool ClientRing::spin_until(std::uint64_t until_ns, std::uint64_t& now_ns) noexcept {
  const std::uint64_t end_ns = std::min(until_ns, now_ns + AdaptiveSpin::budget_ns);
  endpoint_.prepare_pushes();
  for (;;) {
    for (int i = 0; i < 16; ++i) {
      if (endpoint_.readable()) return true;
      spin_pause();
    }
    now_ns = monotonic_ns();
    if (now_ns >= end_ns) return false;
  }
}

void ClientRing::wait(std::uint64_t until_ns, bool for_space) noexcept {
  if (endpoint_.readable()) return spin_.record_gap(0);
  const std::uint32_t cpu = current_cpu();
  endpoint_.publish_own_cpu(cpu);
  if (spinning_ && yield_.should_yield(cpu, endpoint_.peer_cpu())) {
    if (yield_.until([this] { return endpoint_.readable(); })) return;
  } else {
    yield_.skip();
  }
  // A gap beside a worker on the same CPU says nothing about spinning, and is not timed.
  const bool timed = cpu != endpoint_.peer_cpu();
  const std::uint64_t start_ns = timed ? monotonic_ns() : 0;
  std::uint64_t end_ns = start_ns;
  // A gap that spinning ended is taken to the last look at the clock: another now would keep the
  // answer waiting.
  if (!(spinning_ && spin_.should_spin(cpu, endpoint_.peer_cpu()) &&
        spin_until(until_ns, end_ns))) {
    // Before the sleep flag: a ring after it changes the word, and the wait returns at once.
    const std::uint32_t seen = peer_.header().doorbell.load(std::memory_order_seq_cst);
    bool wake_worker = false;
    const SleepDecision decision = endpoint_.prepare_sleep(for_space, wake_worker);
    if (wake_worker) ring_worker();
    if (decision == SleepDecision::sleep) {
      futex_wait(peer_.header().doorbell, seen, until_ns);
      endpoint_.wake_up();
    }
    if (timed) end_ns = monotonic_ns();
  }
  if (timed) spin_.record_gap(end_ns - start_ns);
}

}  // namespace tenantd
