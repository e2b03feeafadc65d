// Both sides with their real wake-ups: a lost one would hang until the bound and fail the count.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "shared/base/clock.h"
#include "shared/ring/client_ring.h"
#include "shared/ring/worker_ring.h"

using namespace tenantd;

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

struct Pair {
  Pair() {
    auto own = RingMemory::create(ring_bytes_default);
    REQUIRE(own.has_value());
    auto accepted = WorkerRing::accept(UniqueFd(::dup(own->fd())), ring_bytes_default);
    REQUIRE(accepted.has_value());
    worker.emplace(std::move(*accepted));
    auto opened = ClientRing::open(std::move(*own), UniqueFd(::dup(worker->memory_fd())),
                                   UniqueFd(::dup(worker->doorbell_fd())));
    REQUIRE(opened.has_value());
    client.emplace(std::move(*opened));
    auto set = DoorbellSet::create();
    REQUIRE(set.has_value());
    doorbells.emplace(std::move(*set));
    REQUIRE(doorbells->add(worker->doorbell_fd(), 7).has_value());
  }
  std::optional<WorkerRing> worker;
  std::optional<ClientRing> client;
  std::optional<DoorbellSet> doorbells;
};

// Of the calling thread, to the CPU that it runs on or a given one.
int stay_on_one_cpu(int cpu = ::sched_getcpu()) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<std::size_t>(cpu), &only);
  CHECK(::sched_setaffinity(0, sizeof only, &only) == 0);
  return cpu;
}

// Echoes until a frame with request id 0. Counts waits that ended by their bound.
void echo_until_stopped(Pair& pair, std::atomic<int>& overslept) {
  FrameBuffer buffer;
  std::array<std::uint64_t, 8> tokens{};
  for (;;) {
    do {
      pair.worker->wake_up();
      for (;;) {
        const auto frame = pair.worker->pop(buffer);
        if (!frame) return;
        if (!frame->has_value()) break;
        if ((*frame)->header.request_id == 0) return;
        (void)pair.worker->try_push((*frame)->header, (*frame)->payload);
      }
      pair.worker->publish();
    } while (pair.worker->yield_for_frames() ||
             pair.worker->prepare_sleep(false) == SleepDecision::work);
    pollfd ready{pair.doorbells->fd(), POLLIN, 0};
    if (::poll(&ready, 1, 5000) == 0) ++overslept;
    if (!pair.doorbells->take(tokens).empty() && tokens[0] != 7) return;
  }
}

int round_trips(Pair& pair, int count, std::atomic<int>& overslept) {
  FrameBuffer buffer;
  int answered = 0;
  for (int i = 1; i <= count; ++i) {
    FrameHeader header;
    header.request_id = static_cast<std::uint64_t>(i);
    (void)pair.client->try_push(header, std::as_bytes(std::span(&i, 1)));
    pair.client->publish();
    for (;;) {
      const auto frame = pair.client->pop(buffer);
      if (!frame) return answered;
      if (frame->has_value()) {
        answered += (*frame)->header.request_id == header.request_id ? 1 : 0;
        break;
      }
      const std::uint64_t until_ns = monotonic_ns() + 5 * second_ns;
      pair.client->wait(until_ns);
      if (monotonic_ns() >= until_ns) ++overslept;
    }
  }
  FrameHeader stop;
  (void)pair.client->try_push(stop, {});
  pair.client->publish();
  return answered;
}

}  // namespace

TEST_CASE("no wake-up is lost in 200,000 round trips without spinning") {
  Pair pair;
  pair.client->set_spinning(false);
  std::atomic<int> overslept{0};
  std::thread worker([&] { echo_until_stopped(pair, overslept); });
  constexpr int trips = 200'000;
  CHECK(round_trips(pair, trips, overslept) == trips);
  worker.join();
  CHECK(overslept == 0);
}

TEST_CASE("yielding to each other on one CPU changes nothing but the time") {
  Pair pair;
  std::atomic<int> overslept{0};
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  const int cpu = stay_on_one_cpu();
  std::thread worker([&] {
    stay_on_one_cpu(cpu);
    echo_until_stopped(pair, overslept);
  });
  CHECK(round_trips(pair, 100'000, overslept) == 100'000);
  worker.join();
  CHECK(overslept == 0);
  CHECK(::sched_setaffinity(0, sizeof before, &before) == 0);
}

TEST_CASE("spinning changes nothing but the time") {
  Pair pair;
  std::atomic<int> overslept{0};
  std::thread worker([&] { echo_until_stopped(pair, overslept); });
  CHECK(round_trips(pair, 20'000, overslept) == 20'000);
  worker.join();
  CHECK(overslept == 0);
}

// Both hold the description: either may fill the counter, empty it and let it block.
TEST_CASE("no state of the doorbell makes ringing it block, and only an empty one is deaf") {
  Pair pair;
  std::array<std::uint64_t, 8> tokens{};
  const int doorbell = pair.worker->doorbell_fd();
  REQUIRE(::fcntl(doorbell, F_SETFL, ::fcntl(doorbell, F_GETFL) & ~O_NONBLOCK) == 0);
  (void)pair.doorbells->take(tokens);
  constexpr std::uint64_t most = ~std::uint64_t{0} - 1;
  for (const std::uint64_t state : {std::uint64_t{1}, most, most - 1, std::uint64_t{0}}) {
    std::uint64_t count = 0;
    REQUIRE(::read(doorbell, &count, sizeof count) == sizeof count);
    REQUIRE(::write(doorbell, &state, sizeof state) == sizeof state);
    (void)pair.doorbells->take(tokens);
    (void)pair.worker->prepare_sleep(false);
    REQUIRE(pair.client->try_push(FrameHeader{}, {}).value() == PushOutcome::pushed);
    pair.client->publish();
    CHECK(pair.doorbells->take(tokens).size() == (state == 0 ? 0 : 1));
    pair.worker->wake_up();
    FrameBuffer buffer;
    REQUIRE(pair.worker->pop(buffer).value().has_value());
  }
}

TEST_CASE("a wait without an answer ends at its bound") {
  Pair pair;
  const std::uint64_t start_ns = monotonic_ns();
  while (monotonic_ns() < start_ns + 20'000'000) pair.client->wait(start_ns + 20'000'000);
  CHECK(monotonic_ns() - start_ns >= 20'000'000);
}

TEST_CASE("a worker that could not push is rung when the client made room") {
  Pair pair;
  const std::vector<std::byte> largest(max_frame_bytes);
  REQUIRE(pair.worker->try_push(FrameHeader{}, largest).value() == PushOutcome::pushed);
  REQUIRE(pair.worker->try_push(FrameHeader{}, largest).value() == PushOutcome::full);
  pair.worker->publish();
  REQUIRE(pair.worker->prepare_sleep(true) == SleepDecision::sleep);
  std::array<std::uint64_t, 8> tokens{};
  (void)pair.doorbells->take(tokens);
  FrameBuffer buffer;
  REQUIRE(pair.client->pop(buffer).value().has_value());
  pair.client->publish();
  REQUIRE(pair.doorbells->take(tokens).size() == 1);
  CHECK(tokens[0] == 7);
  pair.worker->wake_up();
  CHECK(pair.worker->try_push(FrameHeader{}, largest).value() == PushOutcome::pushed);
}
