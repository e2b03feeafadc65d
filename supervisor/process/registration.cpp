#include "supervisor/process/registration.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
Registration::Registration(Loop& loop, IsAwaited is_awaited, OnHello on_hello)
    : loop_(loop),
      is_awaited_(std::move(is_awaited)),
      on_hello_(std::move(on_hello)),
      timer_(loop) {}

Result<std::unique_ptr<Registration>> Registration::create(Loop& loop, UniqueFd listener,
                                                           IsAwaited is_awaited, OnHello on_hello,
                                                           Listener::OnExhausted on_exhausted) {
  std::unique_ptr<Registration> registration(
      new Registration(loop, std::move(is_awaited), std::move(on_hello)));
  auto* const self = registration.get();
  auto listening = Listener::create(
      loop, std::move(listener), [self](UniqueFd connection) { self->take(std::move(connection)); },
      std::move(on_exhausted));
  if (!listening) return tl::unexpected(listening.error());
  self->listener_ = std::move(*listening);
  return registration;
}

bool Registration::has_place(pid_t pid) const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [pid](const Pending& one) { return one.peer.pid == pid; });
}

void Registration::take(UniqueFd connection) {
  const auto peer = peer_credentials(connection.get());
  if (!peer || pending_.size() >= max_pending || !is_awaited_(*peer) || has_place(peer->pid)) {
    ++refused_;
    return;
  }
  const Place place = pending_.emplace(pending_.end());
  place->socket = std::move(connection);
  place->peer = *peer;
  place->deadline_ms = monotonic_ms() + timeout_ms;
  const Status started = place->poll.start(loop_, place->socket.get(), UV_READABLE | UV_DISCONNECT,
                                           [this, place](int) { read_hello(place); });
  if (!started) return drop(place, true);
  if (!timer_.active()) arm_timer();
}

void Registration::read_hello(Place place) {
  std::array<std::byte, sizeof(WorkerHello)> bytes{};
  const auto received = receive_message(place->socket.get(), bytes, false);
  if (received && received->outcome == IoOutcome::would_block) return;
  WorkerHello hello;
  if (!received || received->outcome != IoOutcome::done || received->truncated ||
      !parse_link_message(std::span(bytes).first(received->size), hello) ||
      !hello.tenant_id.valid()) {
    return drop(place, true);
  }
  place->poll.close();  // the socket gets another watcher if it is taken over
  drop(place, !on_hello_(place->peer, hello, place->socket));
}

void Registration::drop(Place place, bool refused) {
  if (refused) ++refused_;
  place->poll.close();
  pending_.erase(place);
}

void Registration::arm_timer() {
  if (pending_.empty()) return;
  const std::uint64_t now = monotonic_ms();
  const std::uint64_t deadline = pending_.front().deadline_ms;
  timer_.start(deadline > now ? deadline - now : 0, [this] { expire(); });
}

void Registration::expire() {
  const std::uint64_t now = monotonic_ms();
  while (!pending_.empty() && pending_.front().deadline_ms <= now) drop(pending_.begin(), true);
  arm_timer();
}

}  // namespace tenantd
