// Where workers that outlived a supervisor register with the next one.
//
// Runs in: supervisor, on <run>/link/supervisor.sock. Anybody who can reach the socket may connect:
// the kernel's word about the peer decides, and an unverified one costs a place in a small,
// short-lived list.
#pragma once

#include <functional>
#include <list>

#include "shared/contract/link.h"
#include "shared/loop/loop.h"
#include "shared/os/fd.h"
#include "shared/os/socket.h"
#include "supervisor/attach/listener.h"

namespace tenantd {

class Registration {
 public:
  static constexpr std::size_t max_pending = 256;
  static constexpr std::uint64_t timeout_ms = 2000;

  // Asked at accept: may this process register now? Nobody else gets a place in the list.
  using IsAwaited = std::function<bool(const PeerCredentials& peer)>;
  // True: taken over, the socket is now the worker's link. False: refused.
  using OnHello =
      std::function<bool(const PeerCredentials& peer, const WorkerHello& hello, UniqueFd& socket)>;

  [[nodiscard]] static Result<std::unique_ptr<Registration>> create(
      Loop& loop, UniqueFd listener, IsAwaited is_awaited, OnHello on_hello,
      Listener::OnExhausted on_exhausted);
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  struct Pending {
    UniqueFd socket;
    PeerCredentials peer;
    std::uint64_t deadline_ms = 0;
    Poll poll;
  };
  using Place = std::list<Pending>::iterator;

  Registration(Loop& loop, IsAwaited is_awaited, OnHello on_hello);
  [[nodiscard]] bool has_place(pid_t pid) const;
  void take(UniqueFd connection);
  void read_hello(Place place);
  void drop(Place place, bool refused);
  void arm_timer();
  void expire();

  Loop& loop_;
  IsAwaited is_awaited_;
  OnHello on_hello_;
  std::unique_ptr<Listener> listener_;
  std::list<Pending> pending_;
  std::uint64_t refused_ = 0;
  Timer timer_;
};

}  // namespace tenantd
