// Connections that have not said hello yet: exactly 256 bytes each, in time, within bounds.
//
// Runs in: supervisor. The peers are strangers. Reads never block and take no descriptor; what does
// not say a whole, valid hello in time is answered with an error frame, counted and closed.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <vector>

#include "shared/loop/loop.h"
#include "shared/os/fd.h"
#include "supervisor/attach/authorise.h"
#include "supervisor/attach/hello_limits.h"

namespace tenantd {

struct HelloCounters {
  std::uint64_t hellos = 0;  // connections
  std::uint64_t accepted = 0;
  std::uint64_t malformed = 0;
  std::uint64_t unknown_tenant = 0;
  std::uint64_t denied = 0;
  std::uint64_t late = 0;
  std::uint64_t overload = 0;
};

class HelloReception {
 public:
  using OnHello =
      std::function<void(UniqueFd connection, const CheckedHello& hello, const PeerIdentity& peer)>;

  HelloReception(Loop& loop, const HelloConfig& config, std::uint64_t timeout_ms,
                 HelloCounters& counters, OnHello on_hello);

  // Owns the connection until its hello is whole.
  void receive(UniqueFd connection);
  void configure(const HelloConfig& config, std::uint64_t timeout_ms);
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

 private:
  struct Pending {
    UniqueFd socket;
    PeerIdentity peer;
    std::array<std::byte, sizeof(Hello)> bytes{};
    std::size_t size = 0;
    std::uint64_t deadline_ms = 0;
    Poll poll;
  };
  using Place = std::list<Pending>::iterator;

  // True: the hello is not whole yet. False: the place is gone.
  [[nodiscard]] bool read_more(Place place);
  void conclude(Place place);
  void refuse(Place place, const Error& error);
  void arm_timer();
  void expire();

  Loop& loop_;
  HelloLimits limits_;
  std::uint64_t timeout_ms_;
  HelloCounters& counters_;
  OnHello on_hello_;
  std::vector<std::byte> overload_frame_;
  std::list<Pending> pending_;  // in order of deadline, as long as the timeout stays the same
  Timer timer_;
};

}  // namespace tenantd
