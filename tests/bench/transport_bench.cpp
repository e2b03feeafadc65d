// A request's round trip through the ring against the same through a plain socketpair stream.
//
// Forks a minimal echo peer: 1,600 B in, 64 B out. Each round measures every subject once, in
// shuffled order; what counts is the ratio to the socketpair of the same round. S: both on one CPU,
// X: on two, where AdaptiveSpin may pay.
//
// usage: transport_bench [--rounds N] [--trips N] [--json FILE]
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "shared/ring/client_ring.h"
#include "shared/ring/worker_ring.h"

using namespace tenantd;

namespace {

constexpr std::size_t request_bytes = 1600;
constexpr std::size_t answer_bytes = 64;

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) std::exit(77);
}

template <class T>
T need(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().describe().c_str());
  std::exit(1);
}

bool read_all(int fd, std::byte* out, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::read(fd, out, size);
    if (n <= 0) return false;
    out += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

void write_all(int fd, const std::byte* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n <= 0) std::exit(1);
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

// Answers every whole request of what one read brings with one write, until the other end closes.
[[noreturn]] void socket_peer(int fd) {
  std::vector<std::byte> buffer(request_bytes * 64);
  const std::vector<std::byte> answers(answer_bytes * 64);
  for (std::size_t filled = 0;;) {
    const ssize_t n = ::read(fd, buffer.data() + filled, buffer.size() - filled);
    if (n <= 0) ::_exit(0);
    filled += static_cast<std::size_t>(n);
    const std::size_t whole = filled / request_bytes;
    if (whole > 0) write_all(fd, answers.data(), whole * answer_bytes);
    std::memmove(buffer.data(), buffer.data() + whole * request_bytes,
                 filled - whole * request_bytes);
    filled -= whole * request_bytes;
  }
}

// A worker's loop with one attachment.
[[noreturn]] void ring_peer(WorkerRing& ring, DoorbellSet& doorbells, int life) {
  FrameBuffer buffer;
  const std::vector<std::byte> answer(answer_bytes);
  std::array<std::uint64_t, 4> tokens{};
  std::uint64_t now_ns = 0;
  for (;;) {
    ring.wake_up();
    bool full = false;
    do {
      while (!full) {
        const auto frame = ring.pop(buffer);
        if (!frame) ::_exit(1);
        if (!frame->has_value()) break;
        full = ring.try_push((*frame)->header, answer).value() == PushOutcome::full;
      }
      ring.publish();
    } while (!full && (ring.spin_for_frames(now_ns) || ring.yield_for_frames()));
    if (full) ::_exit(1);  // never: 64 answers fit
    if (ring.prepare_sleep(false) == SleepDecision::work) continue;
    std::array<pollfd, 2> items = {pollfd{doorbells.fd(), POLLIN, 0}, pollfd{life, POLLIN, 0}};
    (void)::poll(items.data(), items.size(), -1);
    (void)doorbells.take(tokens);
    if (items[1].revents != 0) ::_exit(0);
  }
}

struct Figures {
  double p50_us = 0;
  double p99_us = 0;
  double per_second = 0;
};

// Sends batches of `depth` requests and takes their answers; latency is a batch's.
template <class Batch>
Figures measure(int trips, int depth, Batch&& batch) {
  for (int i = 0; i < trips / 10 + 100; i += depth) batch(depth);
  std::vector<double> micros;
  const std::uint64_t start_ns = monotonic_ns();
  int done = 0;
  for (; done < trips; done += depth) {
    const std::uint64_t before_ns = monotonic_ns();
    batch(depth);
    micros.push_back(static_cast<double>(monotonic_ns() - before_ns) / 1e3);
  }
  const double seconds = static_cast<double>(monotonic_ns() - start_ns) / 1e9;
  std::sort(micros.begin(), micros.end());
  return {micros[micros.size() / 2], micros[micros.size() * 99 / 100], done / seconds};
}

Figures run_socket(int peer_cpu, int depth, int trips) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::exit(1);
  const pid_t peer = ::fork();
  if (peer == 0) {
    ::close(pair[0]);
    pin(peer_cpu);
    socket_peer(pair[1]);
  }
  ::close(pair[1]);
  const std::vector<std::byte> request(request_bytes);
  std::vector<std::byte> answers(answer_bytes * 64);
  const Figures figures = measure(trips, depth, [&](int count) {
    for (int i = 0; i < count; ++i) write_all(pair[0], request.data(), request.size());
    if (!read_all(pair[0], answers.data(), answer_bytes * static_cast<std::size_t>(count))) {
      std::exit(1);
    }
  });
  ::close(pair[0]);
  ::waitpid(peer, nullptr, 0);
  return figures;
}

Figures run_ring(int peer_cpu, int depth, int trips) {
  int life[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life) != 0) std::exit(1);
  auto own = need(RingMemory::create(ring_bytes_default));
  auto worker = need(WorkerRing::accept(UniqueFd(::dup(own.fd())), ring_bytes_default));
  auto doorbells = need(DoorbellSet::create());
  if (!doorbells.add(worker.doorbell_fd(), 1)) std::exit(1);
  const pid_t peer = ::fork();
  if (peer == 0) {
    ::close(life[0]);
    pin(peer_cpu);
    ring_peer(worker, doorbells, life[1]);
  }
  ::close(life[1]);
  auto ring = need(ClientRing::open(std::move(own), UniqueFd(::dup(worker.memory_fd())),
                                    UniqueFd(::dup(worker.doorbell_fd()))));
  const std::vector<std::byte> request(request_bytes);
  FrameBuffer buffer;
  const Figures figures = measure(trips, depth, [&](int count) {
    for (int i = 0; i < count; ++i) {
      if (ring.try_push(FrameHeader{}, request).value() != PushOutcome::pushed) std::exit(1);
    }
    ring.publish();
    while (count > 0) {
      const auto frame = ring.pop(buffer);
      if (!frame) std::exit(1);
      if (frame->has_value()) {
        --count;
      } else {
        ring.wait(monotonic_ns() + 1'000'000'000);
      }
    }
  });
  ::close(life[0]);
  ::waitpid(peer, nullptr, 0);
  return figures;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

struct Samples {
  std::vector<double> p50, p99, per_second, ratio;
};
using Table = std::map<std::string, std::array<Samples, 2>>;  // [0] socketpair, [1] ring

void run_case(Table& table, char placement, int depth, int trips, std::mt19937& dice) {
  const int peer_cpu = placement == 'S' ? 0 : 1;
  std::array<std::size_t, 2> order = {0, 1};
  std::shuffle(order.begin(), order.end(), dice);
  std::array<Figures, 2> figures;
  for (const std::size_t subject : order) {
    figures[subject] =
        subject == 0 ? run_socket(peer_cpu, depth, trips) : run_ring(peer_cpu, depth, trips);
  }
  char name[32];
  std::snprintf(name, sizeof name, "%c depth %2d", placement, depth);
  for (std::size_t subject = 0; subject < 2; ++subject) {
    Samples& samples = table[name][subject];
    samples.p50.push_back(figures[subject].p50_us);
    samples.p99.push_back(figures[subject].p99_us);
    samples.per_second.push_back(figures[subject].per_second);
    samples.ratio.push_back(figures[subject].p50_us / figures[0].p50_us);
  }
}

void report(const Table& table, int rounds, const char* json) {
  std::ofstream out;
  if (json != nullptr) out.open(json);
  out << "{\"rounds\":" << rounds << ",\"rows\":[";
  std::printf("%-12s %-10s %9s %9s %12s %s\n", "", "", "p50 us", "p99 us", "req/s",
              "p50 / socketpair");
  const char* separator = "";
  for (const auto& [name, row] : table) {
    for (std::size_t subject = 0; subject < 2; ++subject) {
      const char* transport = subject == 0 ? "socketpair" : "ring";
      const Samples& samples = row[subject];
      std::printf("%-12s %-10s %9.2f %9.2f %12.0f %.3f\n", name.c_str(), transport,
                  median(samples.p50), median(samples.p99), median(samples.per_second),
                  median(samples.ratio));
      out << separator << "{\"case\":\"" << name << "\",\"transport\":\"" << transport
          << "\",\"p50_us\":" << median(samples.p50) << ",\"p99_us\":" << median(samples.p99)
          << ",\"per_second\":" << median(samples.per_second)
          << ",\"p50_ratio\":" << median(samples.ratio) << "}";
      separator = ",";
    }
  }
  out << "]}\n";
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 7;
  int trips = 20'000;
  const char* json = nullptr;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--trips") == 0) trips = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--json") == 0) json = argv[i + 1];
  }
  ::signal(SIGPIPE, SIG_IGN);
  std::mt19937 dice(static_cast<unsigned>(monotonic_ns()));
  Table table;
  const bool two_cpus = ::sysconf(_SC_NPROCESSORS_ONLN) > 1;
  pin(0);
  for (int round = 0; round < rounds; ++round) {
    for (const int depth : {1, 16, 64}) {
      run_case(table, 'S', depth, trips, dice);
      if (two_cpus) run_case(table, 'X', depth, trips, dice);
    }
  }
  report(table, rounds, json);
  return 0;
}
