#include "client/async_session.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/session.h"
#include "shared/base/clock.h"

namespace tenantd::client {
AsyncSession::AsyncSession(Target target, std::uint64_t timeout_ms, const Pipeline::Bounds& bounds,
                           ForkGuard guard, UniqueFd epoll, UniqueFd timer)
    : target_(std::move(target)),
      timeout_ms_(timeout_ms == 0 ? ConnectOptions{}.timeout_ms
                                  : std::min(timeout_ms, Session::timeout_max_ms)),
      guard_(std::move(guard)),
      epoll_(std::move(epoll)),
      timer_(std::move(timer)),
      pipeline_(target_, statistics_, bounds, 0, this) {}

AsyncSession::~AsyncSession() = default;

Result<std::unique_ptr<AsyncSession>> AsyncSession::open(Target target, std::uint64_t timeout_ms,
                                                         const Pipeline::Bounds& bounds) {
  if (auto valid = check_token(target.token); !valid) return tl::unexpected(valid.error());
  auto guard = ForkGuard::create();
  if (!guard) return tl::unexpected(guard.error());
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno("epoll_create1", errno);
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer) return fail_errno("timerfd_create", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // a time that has come is told once and never read
  event.data.fd = timer.get();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event) != 0) {
    return fail_errno("epoll_ctl", errno);
  }
  return std::unique_ptr<AsyncSession>(new AsyncSession(std::move(target), timeout_ms, bounds,
                                                        std::move(*guard), std::move(epoll),
                                                        std::move(timer)));
}

Result<std::uint64_t> AsyncSession::submit_payload(MessageType type, MessageType answer,
                                                   std::vector<std::byte> payload,
                                                   std::uint64_t timeout_ms, Pipeline::Done done) {
  if (auto own = guard_.check(); !own) return tl::unexpected(own.error());
  const std::uint64_t limit_ms = timeout_ms == 0 ? timeout_ms_ : timeout_ms;
  const std::uint64_t until_ns =
      monotonic_ns() + std::min(limit_ms, Session::timeout_max_ms) * ns_per_ms;
  auto id = pipeline_.submit({type, answer, until_ns}, std::move(payload), std::move(done));
  if (id) arm_timer();
  return id;
}

Result<std::size_t> AsyncSession::process() {
  if (auto own = guard_.check(); !own) return tl::unexpected(own.error());
  // EPOLLET's note that the timer went off, and whatever else is noted.
  epoll_event seen[2];
  (void)::epoll_wait(epoll_.get(), seen, 2, 0);
  if (armed_ns_ != never_ns && monotonic_ns() >= armed_ns_) armed_ns_ = never_ns;
  struct Rearm {  // also when a callback throws
    AsyncSession& session;
    ~Rearm() { session.arm_timer(); }
  } rearm{*this};
  return pipeline_.process();
}

Result<std::size_t> AsyncSession::wait(std::uint64_t timeout_ms) {
  if (auto own = guard_.check(); !own) return tl::unexpected(own.error());
  const std::uint64_t until_ns =
      monotonic_ns() + std::min(timeout_ms, Session::timeout_max_ms) * ns_per_ms;
  if (pipeline_.next_due_ns() > monotonic_ns()) {
    (void)wait_for_socket(epoll_.get(), POLLIN, until_ns);
  }
  return process();
}

// Level-triggered for the socket: what one process() leaves is told again.
void AsyncSession::watch(int socket, bool for_room) {
  if (socket == watched_ && for_room == watched_for_room_) return;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | (for_room ? std::uint32_t{EPOLLOUT} : 0);
  event.data.fd = socket;
  const int operation = socket == watched_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  // Without memory for it the timer still leads to each deadline.
  if (::epoll_ctl(epoll_.get(), operation, socket, &event) != 0) return;
  watched_ = socket;
  watched_for_room_ = for_room;
}

void AsyncSession::unwatch(int socket) {
  if (socket != watched_) return;
  // A forked child may hold the socket too: closing it would not take it out of the set. In that
  // child the set is the parent's as well and stays as it is.
  if (guard_.is_own_process()) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr);
  watched_ = -1;
}

void AsyncSession::arm_timer() {
  const std::uint64_t due_ns = pipeline_.next_due_ns();
  // One that goes off too early costs a process(); setting it back each time would cost more.
  if (due_ns >= armed_ns_ || !guard_.is_own_process()) return;
  const std::uint64_t at_ns = std::max<std::uint64_t>(due_ns, 1);  // 0 would disarm it
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(at_ns / 1'000'000'000);
  when.it_value.tv_nsec = static_cast<long>(at_ns % 1'000'000'000);
  if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0) armed_ns_ = due_ns;
}

}  // namespace tenantd::client
