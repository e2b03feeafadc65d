#include "shared/ring/ring.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <thread>

#include "shared/ring/adaptive_spin.h"
#include "tests/unit/shared/ring/local_ring.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

FrameHeader header_for(std::uint64_t id) {
  FrameHeader header;
  header.type = 6;
  header.request_id = id;
  header.deadline_ns = id * 3;
  return header;
}

}  // namespace

TEST_CASE("a frame is invisible until published, then arrives whole and aligned") {
  LocalRing ring(4096);
  FrameBuffer buffer;
  std::vector<std::byte> payload;
  fill(payload, 9, 13);
  REQUIRE(ring.left.try_push(header_for(9), payload).value() == PushOutcome::pushed);
  CHECK_FALSE(ring.right.pop(buffer).value().has_value());
  CHECK_FALSE(ring.left.publish());  // nobody sleeps
  const auto frame = ring.right.pop(buffer).value();
  REQUIRE(frame.has_value());
  CHECK(frame->header.size == 13);
  CHECK(frame->header.request_id == 9);
  CHECK(frame->header.deadline_ns == 27);
  CHECK(is_filled(frame->payload, 9));
  CHECK(reinterpret_cast<std::uintptr_t>(frame->payload.data()) % 8 == 0);
  CHECK_FALSE(ring.right.pop(buffer).value().has_value());
}

TEST_CASE("pieces are joined, an empty payload is a frame, an oversized one is refused") {
  LocalRing ring(ring_bytes_min);
  FrameBuffer buffer;
  std::vector<std::byte> payload;
  fill(payload, 1, 100);
  const std::span<const std::byte> all(payload);
  const std::array<std::span<const std::byte>, 3> pieces = {all.first(1), all.subspan(1, 60),
                                                            all.subspan(61)};
  REQUIRE(ring.left.try_push_pieces(header_for(1), pieces).value() == PushOutcome::pushed);
  REQUIRE(ring.left.try_push(header_for(2), std::span<const std::byte>()).value() ==
          PushOutcome::pushed);
  (void)ring.left.publish();
  CHECK(is_filled(ring.right.pop(buffer).value()->payload, 1));
  CHECK(ring.right.pop(buffer).value()->header.size == 0);
  const std::vector<std::byte> large(max_frame_bytes + 1);
  CHECK(ring.left.try_push(header_for(3), large).error().code == ErrorCode::invalid_argument);
  const std::vector<std::byte> largest(max_frame_bytes);
  CHECK(ring.left.try_push(header_for(3), largest).value() == PushOutcome::pushed);
}

TEST_CASE("a full ring refuses, and has room again once the peer published what it freed") {
  LocalRing ring(4096);
  FrameBuffer buffer;
  const std::vector<std::byte> payload(1000);  // a record of 1024 bytes
  for (int i = 0; i < 4; ++i) {
    REQUIRE(ring.left.try_push(header_for(1), payload).value() == PushOutcome::pushed);
  }
  CHECK(ring.left.try_push(header_for(1), {}).value() == PushOutcome::full);
  (void)ring.left.publish();
  REQUIRE(ring.right.pop(buffer).value().has_value());
  CHECK(ring.left.try_push(header_for(1), {}).value() == PushOutcome::full);
  (void)ring.right.publish();
  CHECK(ring.left.try_push(header_for(1), payload).value() == PushOutcome::pushed);
}

TEST_CASE("random sizes through many wraps come out in order and intact") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  LocalRing ring(8192);
  FrameBuffer buffer;
  std::deque<std::size_t> expected;
  std::vector<std::byte> payload;
  std::uint64_t pushed = 0;
  std::uint64_t popped = 0;
  bool intact = true;
  for (int turn = 0; turn < 50'000; ++turn) {
    for (auto n = random() % 4; n > 0; --n) {
      fill(payload, pushed, random() % (random() % 8 == 0 ? 6000 : 300));
      const auto outcome = ring.left.try_push(header_for(pushed), payload);
      REQUIRE(outcome.has_value());
      if (*outcome == PushOutcome::full) break;
      expected.push_back(payload.size());
      ++pushed;
    }
    (void)ring.left.publish();
    for (auto n = random() % 4; n > 0 && popped < pushed; --n) {
      const auto frame = ring.right.pop(buffer);
      REQUIRE(frame.has_value());
      REQUIRE(frame->has_value());
      intact = intact && (*frame)->header.request_id == popped &&
               (*frame)->payload.size() == expected.front() && is_filled((*frame)->payload, popped);
      expected.pop_front();
      ++popped;
    }
    (void)ring.right.publish();
  }
  CHECK(intact);
  CHECK(popped > 10'000);
}

TEST_CASE("a sleeper is rung once a sleep, for what it sleeps on") {
  LocalRing ring(4096);
  FrameBuffer buffer;
  bool wake = false;
  REQUIRE(ring.right.prepare_sleep(false, wake) == SleepDecision::sleep);
  (void)ring.left.try_push(header_for(1), {});
  CHECK(ring.left.publish());
  (void)ring.left.try_push(header_for(2), {});
  CHECK_FALSE(ring.left.publish());
  // Frames are there: no sleep, and not marked as sleeping either.
  CHECK(ring.right.prepare_sleep(false, wake) == SleepDecision::work);
  CHECK(ring.b->header.sleep.load() == 0);
  (void)ring.right.pop(buffer);
  (void)ring.right.pop(buffer);
  REQUIRE(ring.right.prepare_sleep(false, wake) == SleepDecision::sleep);
  (void)ring.left.try_push(header_for(3), {});
  CHECK(ring.left.publish());
}

TEST_CASE("who sleeps for space is rung when space is freed, even by going to sleep") {
  LocalRing ring(4096);
  FrameBuffer buffer;
  const std::vector<std::byte> payload(4000);
  REQUIRE(ring.left.try_push(header_for(1), payload).value() == PushOutcome::pushed);
  bool wake = false;
  REQUIRE(ring.left.prepare_sleep(true, wake) == SleepDecision::sleep);
  REQUIRE(ring.right.pop(buffer).value().has_value());
  REQUIRE(ring.right.prepare_sleep(false, wake) == SleepDecision::sleep);
  CHECK(wake);
}

TEST_CASE("two threads: every frame once, in order, with backpressure") {
  LocalRing ring(16384);
  constexpr std::uint64_t frames = 60'000;
  std::thread producer([&] {
    std::vector<std::byte> payload;
    for (std::uint64_t id = 0; id < frames;) {
      fill(payload, id, id * 37 % 700);
      const auto outcome = ring.left.try_push(header_for(id), payload);
      if (!outcome) return;
      if (*outcome == PushOutcome::pushed) ++id;
      if (*outcome == PushOutcome::full || id % 3 == 0) (void)ring.left.publish();
      if (*outcome == PushOutcome::full) std::this_thread::yield();
    }
    (void)ring.left.publish();
  });
  FrameBuffer buffer;
  std::uint64_t next = 0;
  bool intact = true;
  while (next < frames && intact) {
    const auto frame = ring.right.pop(buffer);
    if (!frame) {
      intact = false;
    } else if (!frame->has_value()) {
      (void)ring.right.publish();
      std::this_thread::yield();
    } else {
      intact = (*frame)->header.request_id == next && is_filled((*frame)->payload, next);
      ++next;
    }
  }
  // Lets the producer end even after a failure.
  if (!intact) ring.b->header.head.store(~std::uint64_t{0});
  producer.join();
  CHECK(intact);
  CHECK(next == frames);
}

TEST_CASE("spinning pays only for short gaps and a peer on another CPU") {
  AdaptiveSpin spin;
  CHECK(spin.should_spin(0, 1));
  CHECK_FALSE(spin.should_spin(1, 1));
  for (int i = 0; i < 8; ++i) spin.record_gap(10'000'000);
  CHECK_FALSE(spin.should_spin(0, 1));
  for (int i = 0; i < 12; ++i) spin.record_gap(1'000);
  CHECK(spin.should_spin(0, 1));
}

TEST_CASE("yielding goes on while it pays, and is tried again ever more rarely after that") {
  AdaptiveYield yield;
  CHECK_FALSE(yield.should_yield(0, 1));
  REQUIRE(yield.should_yield(1, 1));
  for (unsigned vain = 1; vain <= AdaptiveYield::most_vain + 2; ++vain) {
    yield.record(false);
    unsigned without = 0;
    for (; !yield.should_yield(1, 1); ++without) yield.skip();
    const unsigned counted = std::min(vain, AdaptiveYield::most_vain);
    const unsigned borne = AdaptiveYield::borne_vain;
    CHECK(without == (counted <= borne ? 0 : 1U << (counted - borne)));
  }
  yield.record(true);
  for (unsigned i = 0; i < AdaptiveYield::borne_vain; ++i) yield.record(false);
  CHECK(yield.should_yield(1, 1));
}
