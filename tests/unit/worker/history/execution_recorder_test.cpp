// The ring between the thread that answers and the one that writes: what is chosen, what fits, what
// is said when, and that nobody records for another tenant.
#include "worker/history/execution_recorder.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace tenantd {
namespace {

using Urgency = ExecutionRecorder::Urgency;

struct Bench {
  explicit Bench(std::size_t capacity)
      : recorder(binding.context().tenant(), capacity, 7,
                 [this](Urgency urgency) { said.push_back(urgency); }) {
    recorder.set_sample(context(), 1'000'000);
  }
  const ExecutionContext& context() const { return binding.context(); }
  void record(std::uint64_t request) {
    ExecutionRecord record;
    record.request_id = request;
    recorder.record(context(), record);
  }
  std::vector<std::uint64_t> take() {
    std::vector<std::uint64_t> ids;
    recorder.take(context(), [&](auto first, auto second) {
      for (const auto part : {first, second}) {
        for (const ExecutionRecord& record : part) ids.push_back(record.request_id);
      }
    });
    return ids;
  }

  TenantBinding binding{TenantId::parse("acme").value()};
  std::vector<Urgency> said;
  ExecutionRecorder recorder;
};

}  // namespace

TEST_CASE("what is recorded comes out in its order, over the end of the ring") {
  Bench bench(8);
  std::uint64_t next = 1;
  for (std::size_t round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> expected;
    for (std::size_t i = 0; i < 1 + round % 8; ++i) {
      expected.push_back(next);
      bench.record(next++);
    }
    CHECK(bench.recorder.buffered(bench.context()) == expected.size());
    CHECK(bench.take() == expected);
    CHECK(bench.take().empty());
  }
  CHECK(bench.recorder.dropped(bench.context()) == 0);
}

TEST_CASE("what does not fit is dropped and counted, and the older stays") {
  Bench bench(8);
  for (std::uint64_t i = 1; i <= 11; ++i) bench.record(i);
  CHECK(bench.recorder.dropped(bench.context()) == 3);
  CHECK(bench.take() == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8});
  bench.record(12);
  CHECK(bench.take() == std::vector<std::uint64_t>{12});
}

TEST_CASE("the first record and the half-full ring are said once each") {
  Bench bench(8);
  bench.record(1);
  bench.record(2);
  CHECK(bench.said == std::vector<Urgency>{Urgency::soon});
  for (std::uint64_t i = 3; i <= 8; ++i) bench.record(i);
  CHECK(bench.said == std::vector<Urgency>{Urgency::soon, Urgency::now});
  (void)bench.take();
  bench.recorder.say_again(bench.context());
  bench.record(9);
  CHECK(bench.said == std::vector<Urgency>{Urgency::soon, Urgency::now, Urgency::soon});
}

TEST_CASE("a sample takes its share of the requests") {
  Bench bench(8);
  const auto share = [&bench](std::uint32_t sample_e6) {
    bench.recorder.set_sample(bench.context(), sample_e6);
    int chosen = 0;
    for (int i = 0; i < 100'000; ++i) {
      if (bench.recorder.chooses(bench.context())) ++chosen;
    }
    return chosen;
  };
  CHECK(share(1'000'000) == 100'000);
  CHECK(share(0) == 0);
  // Seeded: the same numbers in every run; 5 standard deviations are 475.
  CHECK(share(100'000) > 9'500);
  CHECK(share(100'000) < 10'500);
}

TEST_CASE("another tenant's context records nothing and sees nothing") {
  Bench bench(8);
  const TenantBinding other(TenantId::parse("acm").value());
  CHECK_FALSE(bench.recorder.chooses(other.context()));
  bench.recorder.record(other.context(), ExecutionRecord{});
  CHECK(bench.take().empty());
  bench.record(1);
  CHECK(bench.recorder.buffered(other.context()) == 0);
  bench.recorder.take(other.context(), [](auto, auto) { FAIL("taken by another"); });
  CHECK(bench.take() == std::vector<std::uint64_t>{1});
}

TEST_CASE("one thread records while another takes: each record once, in order") {
  Bench bench(64);
  constexpr std::uint64_t records = 20'000;
  std::atomic<bool> ended{false};
  std::vector<std::uint64_t> taken;
  std::thread taker([&] {
    for (bool last = false; !last;) {
      last = ended.load();
      const auto ids = bench.take();
      taken.insert(taken.end(), ids.begin(), ids.end());
      std::this_thread::yield();
    }
  });
  for (std::uint64_t i = 1; i <= records; ++i) bench.record(i);
  ended = true;
  taker.join();
  CHECK(taken.size() + bench.recorder.dropped(bench.context()) == records);
  for (std::size_t i = 1; i < taken.size(); ++i) REQUIRE(taken[i - 1] < taken[i]);
}

}  // namespace tenantd
