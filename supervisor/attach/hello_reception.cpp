#include "supervisor/attach/hello_reception.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "supervisor/attach/error_frame.h"

namespace tenantd {
namespace {

Error overloaded() {
  Error error;
  error.code = ErrorCode::unavailable;
  error.message = "too many connections say hello at once";
  error.retry_after_ms = 100;
  return error;
}

}  // namespace

HelloReception::HelloReception(Loop& loop, const HelloConfig& config, std::uint64_t timeout_ms,
                               HelloCounters& counters, OnHello on_hello)
    : loop_(loop),
      limits_(config),
      timeout_ms_(timeout_ms),
      counters_(counters),
      on_hello_(std::move(on_hello)),
      overload_frame_(make_error_frame(overloaded())),
      timer_(loop) {}

void HelloReception::configure(const HelloConfig& config, std::uint64_t timeout_ms) {
  limits_.configure(config);
  timeout_ms_ = timeout_ms;
}

// What a storm costs is decided here: a connection over a bound is told so for the price of two
// system calls, before anything is allocated for it.
void HelloReception::receive(UniqueFd connection) {
  ++counters_.hellos;
  const auto peer = peer_credentials(connection.get());
  if (!peer) {
    ++counters_.denied;
    return;
  }
  if (!limits_.enter(peer->uid, monotonic_ms())) {
    ++counters_.overload;
    (void)::send(connection.get(), overload_frame_.data(), overload_frame_.size(),
                 MSG_DONTWAIT | MSG_NOSIGNAL);
    return;
  }
  const Place place = pending_.emplace(pending_.end());
  place->socket = std::move(connection);
  place->peer = {peer->pid, peer->uid, peer->gid, {}};
  place->deadline_ms = monotonic_ms() + timeout_ms_;
  if (!read_more(place)) return;  // a client usually sends with connect(2)
  const Status started = place->poll.start(loop_, place->socket.get(), UV_READABLE | UV_DISCONNECT,
                                           [this, place](int) { (void)read_more(place); });
  if (!started) {
    ++counters_.overload;
    return refuse(place, overloaded());
  }
  if (!timer_.active()) arm_timer();
}

bool HelloReception::read_more(Place place) {
  while (place->size < place->bytes.size()) {
    const ssize_t n = ::recv(place->socket.get(), place->bytes.data() + place->size,
                             place->bytes.size() - place->size, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (n <= 0) {
      ++counters_.malformed;
      refuse(place, fail(ErrorCode::protocol_error, "malformed hello: too short").value());
      return false;
    }
    place->size += static_cast<std::size_t>(n);
  }
  conclude(place);
  return false;
}

void HelloReception::conclude(Place place) {
  std::byte surplus{};
  const ssize_t more = ::recv(place->socket.get(), &surplus, 1, MSG_DONTWAIT | MSG_PEEK);
  auto hello = check_hello(place->bytes);
  if (hello && more > 0) {
    hello = fail(ErrorCode::protocol_error, "malformed hello: bytes before it was accepted");
  }
  if (!hello) {
    ++counters_.malformed;
    return refuse(place, hello.error());
  }
  auto groups = peer_groups(place->socket.get());
  if (!groups) {
    ++counters_.denied;
    return refuse(place, groups.error());
  }
  place->peer.groups = std::move(*groups);
  Pending done = std::move(*place);
  done.poll.close();
  pending_.erase(place);
  limits_.leave(done.peer.uid);
  on_hello_(std::move(done.socket), *hello, done.peer);
}

void HelloReception::refuse(Place place, const Error& error) {
  send_error_frame(place->socket.get(), error);
  limits_.leave(place->peer.uid);
  place->poll.close();
  pending_.erase(place);
}

void HelloReception::arm_timer() {
  if (pending_.empty()) return;
  const std::uint64_t now = monotonic_ms();
  const std::uint64_t deadline = pending_.front().deadline_ms;
  timer_.start(deadline > now ? deadline - now : 0, [this] { expire(); });
}

void HelloReception::expire() {
  const std::uint64_t now = monotonic_ms();
  while (!pending_.empty() && pending_.front().deadline_ms <= now) {
    ++counters_.late;
    refuse(pending_.begin(), fail(ErrorCode::deadline_exceeded, "the hello came too late").value());
  }
  arm_timer();
}

}  // namespace tenantd
