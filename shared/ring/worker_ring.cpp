#include "shared/ring/worker_ring.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "shared/base/clock.h"
#include "shared/ring/futex.h"

namespace tenantd {

WorkerRing::WorkerRing(RingMemory own, PeerRingMemory peer, UniqueFd doorbell) noexcept
    : own_(std::move(own)),
      peer_(std::move(peer)),
      doorbell_(std::move(doorbell)),
      endpoint_({&own_.header(), own_.data(), &peer_.header(), peer_.data(), own_.ring_bytes()}) {}

Result<WorkerRing> WorkerRing::accept(UniqueFd client_memory, std::uint32_t ring_bytes) {
  auto peer = PeerRingMemory::open(std::move(client_memory), ring_bytes);
  if (!peer) return tl::unexpected(peer.error());
  auto own = RingMemory::create(ring_bytes);
  if (!own) return tl::unexpected(own.error());
  // Never zero, so that it polls as readable after every ring: the client adds nothing to it.
  UniqueFd doorbell(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!doorbell) return fail_errno("eventfd", errno);
  WorkerRing ring(std::move(*own), std::move(*peer), std::move(doorbell));
  // `work` cannot be missed: the caller looks at the ring once after accept.
  (void)ring.prepare_sleep(false);
  return ring;
}

void WorkerRing::ring_client() noexcept {
  own_.header().doorbell.fetch_add(1, std::memory_order_seq_cst);
  futex_wake_one(own_.header().doorbell);
}

void WorkerRing::publish() noexcept {
  if (endpoint_.publish()) ring_client();
}

SleepDecision WorkerRing::prepare_sleep(bool for_space) noexcept {
  const std::uint32_t cpu = current_cpu();
  endpoint_.publish_own_cpu(cpu);
  bool wake_client = false;
  const SleepDecision decision = endpoint_.prepare_sleep(for_space, wake_client);
  if (wake_client) ring_client();
  // A gap beside a client on the same CPU says nothing about spinning, and is not timed.
  if (decision == SleepDecision::sleep && idle_since_ns_ == 0 && cpu != endpoint_.peer_cpu()) {
    idle_since_ns_ = monotonic_ns();
  }
  return decision;
}

SleepDecision WorkerRing::prepare_sleep_for_space() noexcept {
  bool wake_client = false;
  const SleepDecision decision = endpoint_.prepare_sleep_for_space(wake_client);
  if (wake_client) ring_client();
  return decision;
}

void WorkerRing::wake_up() noexcept {
  endpoint_.wake_up();
  if (idle_since_ns_ == 0) return;
  spin_.record_gap(monotonic_ns() - idle_since_ns_);
  idle_since_ns_ = 0;
}

bool WorkerRing::yield_for_frames() noexcept {
  const std::uint32_t cpu = current_cpu();
  if (!yield_.should_yield(cpu, endpoint_.peer_cpu())) {
    yield_.skip();
    return false;
  }
  endpoint_.publish_own_cpu(cpu);
  return yield_.until([this] { return endpoint_.readable(); });
}

bool WorkerRing::spin_for_frames(std::uint64_t& now_ns) noexcept {
  if (endpoint_.readable()) return true;
  const std::uint32_t cpu = current_cpu();
  endpoint_.publish_own_cpu(cpu);
  if (!spin_.should_spin(cpu, endpoint_.peer_cpu())) return false;
  now_ns = monotonic_ns();
  idle_since_ns_ = now_ns;
  endpoint_.prepare_pushes();
  while (now_ns - idle_since_ns_ < AdaptiveSpin::budget_ns) {
    for (int i = 0; i < 16; ++i) {
      if (endpoint_.readable()) {
        // To the last look at the clock: another now would keep the request waiting.
        spin_.record_gap(now_ns - idle_since_ns_);
        idle_since_ns_ = 0;
        return true;
      }
      spin_pause();
    }
    now_ns = monotonic_ns();
  }
  return false;
}

Result<DoorbellSet> DoorbellSet::create() {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno("epoll_create1", errno);
  return DoorbellSet(std::move(epoll));
}

Status DoorbellSet::add(int fd, std::uint64_t token, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail_errno("epoll_ctl", errno);
  }
  return {};
}

Status DoorbellSet::add(int doorbell_fd, std::uint64_t token) {
  return add(doorbell_fd, token, EPOLLIN | EPOLLET);
}

Status DoorbellSet::add_descriptor(int fd, std::uint64_t token) { return add(fd, token, EPOLLIN); }

void DoorbellSet::remove(int doorbell_fd) noexcept {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, doorbell_fd, nullptr);
}

std::span<const std::uint64_t> DoorbellSet::wait(std::span<std::uint64_t> tokens,
                                                 int timeout_ms) noexcept {
  std::array<epoll_event, 64> events;
  const auto wanted = static_cast<int>(std::min(events.size(), tokens.size()));
  const int found = wanted == 0 ? 0 : ::epoll_wait(epoll_.get(), events.data(), wanted, timeout_ms);
  const std::size_t count = found < 0 ? 0 : static_cast<std::size_t>(found);
  for (std::size_t i = 0; i < count; ++i) tokens[i] = events[i].data.u64;
  return tokens.first(count);
}

}  // namespace tenantd
