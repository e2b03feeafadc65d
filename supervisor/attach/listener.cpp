#include "supervisor/attach/listener.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace tenantd {
namespace {

UniqueFd open_reserve() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

Listener::Listener(Loop& loop, UniqueFd socket, OnConnection on_connection,
                   OnExhausted on_exhausted)
    : socket_(std::move(socket)),
      reserve_(open_reserve()),
      on_connection_(std::move(on_connection)),
      on_exhausted_(std::move(on_exhausted)),
      resume_(loop) {}

Result<std::unique_ptr<Listener>> Listener::create(Loop& loop, UniqueFd socket,
                                                   OnConnection on_connection,
                                                   OnExhausted on_exhausted) {
  std::unique_ptr<Listener> listener(
      new Listener(loop, std::move(socket), std::move(on_connection), std::move(on_exhausted)));
  auto* const self = listener.get();
  const Status started = self->poll_.start(loop, self->socket_.get(), UV_READABLE,
                                           [self](int) { self->accept_some(); });
  if (!started) return tl::unexpected(started.error());
  return listener;
}

void Listener::accept_some() {
  for (int i = 0; i < accepts_per_turn; ++i) {
    UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) {
      on_connection_(std::move(connection));
      continue;
    }
    const int saved_errno = errno;
    if (saved_errno == EINTR || saved_errno == ECONNABORTED) continue;
    if (saved_errno == EMFILE || saved_errno == ENFILE || saved_errno == ENOBUFS ||
        saved_errno == ENOMEM) {
      turn_one_away(saved_errno);
    }
    return;
  }
}

void Listener::turn_one_away(int saved_errno) {
  reserve_.reset();
  {
    const UniqueFd refused(
        ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }
  reserve_ = open_reserve();
  poll_.change(0);
  resume_.start(pause_ms, [this] { poll_.change(UV_READABLE); });
  on_exhausted_(saved_errno);
}

}  // namespace tenantd
