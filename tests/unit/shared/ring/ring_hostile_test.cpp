// A peer that writes whatever it likes: the reader answers protocol_error and reads nothing
// outside.
#include <doctest/doctest.h>

#include <random>

#include "tests/unit/shared/ring/local_ring.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

constexpr std::uint32_t bytes = 4096;
constexpr std::uint64_t huge = ~std::uint64_t{0};

// The peer (a) as an attacker's raw memory, the reader under test on the other side.
struct Attack {
  LocalRing ring{bytes};
  FrameBuffer buffer;

  void write_header(std::uint64_t at, const FrameHeader& header) {
    std::memcpy(ring.a->data.data() + at, &header, sizeof header);
  }
  [[nodiscard]] bool refused() {
    const auto frame = ring.right.pop(buffer);
    return !frame && frame.error().code == ErrorCode::protocol_error;
  }
};

}  // namespace

TEST_CASE("adversarial tails are protocol errors, for good") {
  const std::uint64_t tails[] = {1,
                                 4,
                                 7,
                                 8,
                                 16,
                                 bytes + 8,
                                 bytes + 1,
                                 bytes * 2,
                                 huge,
                                 huge - 7,
                                 huge - bytes,
                                 1ULL << 32U,
                                 (1ULL << 32U) + 24,
                                 1ULL << 63U};
  for (const std::uint64_t tail : tails) {
    CAPTURE(tail);
    Attack attack;
    attack.ring.a->header.tail.store(tail);
    CHECK(attack.refused());
    attack.ring.a->header.tail.store(0);
    CHECK(attack.refused());
    CHECK_FALSE(attack.ring.right.try_push(FrameHeader{}, {}).has_value());
    bool wake = false;
    CHECK(attack.ring.right.prepare_sleep(false, wake) == SleepDecision::work);
  }
}

TEST_CASE("a tail that goes back is a protocol error") {
  Attack attack;
  (void)attack.ring.left.try_push(FrameHeader{}, {});
  (void)attack.ring.left.publish();
  REQUIRE(attack.ring.right.pop(attack.buffer).value().has_value());
  attack.ring.a->header.tail.store(0);
  CHECK(attack.refused());
}

TEST_CASE("adversarial sizes and flags are protocol errors") {
  const std::uint32_t sizes[] = {
      1,          8,          4000,       bytes,     max_frame_bytes, max_frame_bytes + 1,
      0x7fffffff, 0xffffffff, 0xfffffff8, 0xffffffe8};
  for (const std::uint32_t size : sizes) {
    CAPTURE(size);
    Attack attack;
    FrameHeader header;
    header.size = size;
    attack.write_header(0, header);
    attack.ring.a->header.tail.store(sizeof header);  // only the header is published
    CHECK(attack.refused());
  }
  Attack attack;
  FrameHeader header;
  header.flags = attempt_mask + 1;
  attack.write_header(0, header);
  attack.ring.a->header.tail.store(sizeof header);
  CHECK(attack.refused());
}

TEST_CASE("adversarial heads never make room that is not there") {
  const std::uint64_t heads[] = {8, 1, 4095, bytes + 8, huge, huge - 7, 1ULL << 32U};
  for (const std::uint64_t head : heads) {
    CAPTURE(head);
    LocalRing ring(bytes);
    const std::vector<std::byte> payload(4000);
    REQUIRE(ring.right.try_push(FrameHeader{}, payload).value() == PushOutcome::pushed);
    ring.a->header.head.store(head);  // nothing is published yet: any head but 0 is a lie
    const auto outcome = ring.right.try_push(FrameHeader{}, payload);
    REQUIRE_FALSE(outcome.has_value());
    CHECK(outcome.error().code == ErrorCode::protocol_error);
  }
}

TEST_CASE("a lying sleep word costs one ring a lie, and none without a publication") {
  LocalRing ring(bytes);
  for (const std::uint32_t word : {1U, 2U, 3U, 5U, ~0U, ~0U - 3, 1U << 31U}) {
    CAPTURE(word);
    ring.a->header.sleep.store(word);
    CHECK_FALSE(ring.right.publish());
    int rings = 0;
    for (int i = 0; i < 3; ++i) {
      REQUIRE(ring.right.try_push(FrameHeader{}, {}).value() == PushOutcome::pushed);
      rings += ring.right.publish() ? 1 : 0;
    }
    CHECK(rings == ((word & sleep_for_frames) != 0 ? 1 : 0));
  }
}

TEST_CASE("a lying cpu or doorbell word changes nothing that is read or written") {
  Attack attack;
  for (const std::uint32_t word : {1U, 64U, ~0U}) {
    attack.ring.a->header.cpu.store(word);
    attack.ring.a->header.doorbell.store(word);
    CHECK(attack.ring.right.peer_cpu() == word);
    REQUIRE(attack.ring.left.try_push(FrameHeader{}, {}).has_value());
    (void)attack.ring.left.publish();
    CHECK(attack.ring.right.pop(attack.buffer).value().has_value());
  }
  CHECK(attack.ring.b->header.doorbell.load() == 0);
}

TEST_CASE("a head that goes back after it was seen is a protocol error") {
  LocalRing ring(bytes);
  FrameBuffer buffer;
  const std::vector<std::byte> payload(2000);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(ring.right.try_push(FrameHeader{}, payload).value() == PushOutcome::pushed);
    (void)ring.right.publish();
    REQUIRE(ring.left.pop(buffer).value().has_value());
    (void)ring.left.publish();
  }
  REQUIRE(ring.right.try_push(FrameHeader{}, payload).value() == PushOutcome::pushed);
  (void)ring.right.publish();
  REQUIRE(ring.right.try_push(FrameHeader{}, payload).value() == PushOutcome::pushed);
  ring.a->header.head.store(0);
  CHECK_FALSE(ring.right.try_push(FrameHeader{}, payload).has_value());
}

TEST_CASE("what was popped is private: later writes of the peer change nothing") {
  Attack attack;
  const std::vector<std::byte> payload(64, std::byte{0x55});
  (void)attack.ring.left.try_push(FrameHeader{}, payload);
  (void)attack.ring.left.publish();
  const auto frame = attack.ring.right.pop(attack.buffer).value();
  std::fill(attack.ring.a->data.begin(), attack.ring.a->data.end(), std::byte{0xee});
  for (const std::byte byte : frame->payload) REQUIRE(byte == std::byte{0x55});
}

TEST_CASE("random contents and indices: frames within bounds or one protocol error") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  int errors = 0;
  int frames = 0;
  for (int round = 0; round < 3000; ++round) {
    Attack attack;
    auto& data = attack.ring.a->data;
    for (std::size_t i = 0; i + 8 <= data.size(); i += 8) {
      // Mostly small sizes, so that some frames pass and later ones are reached.
      const std::uint64_t word = random() % 4 == 0 ? random() : random() % 64;
      std::memcpy(data.data() + i, &word, 8);
    }
    std::uint64_t tail = 0;
    for (int step = 0; step < 40; ++step) {
      tail += random() % 16 == 0 ? random() : (random() % 32) * 8;
      attack.ring.a->header.tail.store(tail);
      attack.ring.a->header.sleep.store(static_cast<std::uint32_t>(random()));
      attack.ring.a->header.head.store(random() % 4 == 0 ? random() : 0);
      (void)attack.ring.right.publish();
      const auto frame = attack.ring.right.pop(attack.buffer);
      if (!frame) {
        REQUIRE(frame.error().code == ErrorCode::protocol_error);
        ++errors;
        break;
      }
      if (!frame->has_value()) continue;
      REQUIRE((*frame)->payload.size() <= bytes);
      ++frames;
    }
  }
  CHECK(errors > 1000);
  CHECK(frames > 100);
}
