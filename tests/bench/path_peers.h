// What path_bench compares the whole path with: plain sockets, a relay, and the floor of two
// processes that only wake each other.
//
// Runs in: path_bench. Each forks a peer on the given CPU, and into the given control group if
// there is one, and answers a request of 1,600 B with 64 B.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace tenantd::bench {

inline constexpr std::size_t request_bytes = 1600;
inline constexpr std::size_t answer_bytes = 64;
inline constexpr std::size_t most_in_flight = 64;

inline constexpr int any_cpu = -1;

struct Place {
  int cpu = any_cpu;
  std::string group;  // a worker's cgroup directory: enter it, with a worker's slices; empty: no
};

// Pins the calling process; ends it with 77 where that is impossible.
void pin_to(int cpu);

// Forks; the child enters its group, pins itself, works and ends, at the latest with its parent.
[[nodiscard]] pid_t fork_peer(const Place& place, const std::function<void()>& work);
void end_peer(pid_t pid);

// Ends its peers when it goes.
class Peer {
 public:
  virtual ~Peer() = default;
  // Sends `depth` requests and takes their answers; false when the other side is gone.
  [[nodiscard]] virtual bool run(int depth) = 0;
};
[[nodiscard]] std::unique_ptr<Peer> make_socketpair_peer(const Place& place);
// Through a third process, which polls both sides with epoll and copies.
[[nodiscard]] std::unique_ptr<Peer> make_relay_peer(const Place& place);
// No bytes: an eventfd wakes the peer in epoll_wait, a futex wakes this side; either only if the
// other sleeps. What is left is what the kernel takes for two switches. Depth 1 only.
[[nodiscard]] std::unique_ptr<Peer> make_floor_peer(const Place& place);
// gRPC's unary call over a Unix socket; only where TENANTD_BENCH_GRPC is defined.
[[nodiscard]] std::unique_ptr<Peer> make_grpc_peer(const Place& place);

}  // namespace tenantd::bench
