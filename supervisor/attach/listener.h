// A listening socket that cannot be made to spin or to starve the rest of the loop.
//
// Runs in: supervisor, for clients and for registering workers. When descriptors run out it gives
// up one held in reserve to turn one connection away, then pauses: the backlog keeps the others.
#pragma once

#include <functional>
#include <memory>

#include "shared/loop/loop.h"
#include "shared/os/fd.h"

namespace tenantd {

class Listener {
 public:
  static constexpr int accepts_per_turn = 32;
  static constexpr std::uint64_t pause_ms = 100;

  // The connection is CLOEXEC and does not block.
  using OnConnection = std::function<void(UniqueFd connection)>;
  using OnExhausted = std::function<void(int saved_errno)>;

  [[nodiscard]] static Result<std::unique_ptr<Listener>> create(Loop& loop, UniqueFd socket,
                                                                OnConnection on_connection,
                                                                OnExhausted on_exhausted);

 private:
  Listener(Loop& loop, UniqueFd socket, OnConnection on_connection, OnExhausted on_exhausted);
  void accept_some();
  void turn_one_away(int saved_errno);

  UniqueFd socket_;
  UniqueFd reserve_;
  OnConnection on_connection_;
  OnExhausted on_exhausted_;
  Poll poll_;
  Timer resume_;
};

}  // namespace tenantd
