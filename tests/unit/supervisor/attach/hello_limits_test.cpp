// Bounds on hellos: each user's own, everybody's, and what is kept for those who ask for little.
#include "supervisor/attach/hello_limits.h"

#include <doctest/doctest.h>

using namespace tenantd;

namespace {

constexpr HelloConfig config{
    .max_per_second = 2000, .max_per_second_per_uid = 500, .max_pending = 256};

// One millisecond of connections that say hello at once.
int served(HelloLimits& limits, uid_t uid, int count, std::uint64_t now_ms) {
  int taken = 0;
  for (int i = 0; i < count; ++i) {
    if (!limits.enter(uid, now_ms)) continue;
    ++taken;
    limits.leave(uid);
  }
  return taken;
}

}  // namespace

TEST_CASE("ten thousand a second of one user are cut to its rate, others lose nothing") {
  HelloLimits limits(config);
  int hostile = 0;
  int innocent = 0;
  for (std::uint64_t ms = 1; ms <= 2000; ++ms) {
    hostile += served(limits, 1000, 10, ms);
    if (ms % 5 == 0) innocent += served(limits, 1001, 1, ms);
  }
  CHECK(hostile <= 500 * 3);  // the burst and two seconds
  CHECK(hostile >= 500 * 2);
  CHECK(innocent == 400);
  CHECK(limits.pending() == 0);
}

TEST_CASE("twenty users together do not use up the shared rate") {
  HelloLimits limits(config);
  int hostile = 0;
  int innocent = 0;
  for (std::uint64_t ms = 1; ms <= 2000; ++ms) {
    for (uid_t uid = 1000; uid < 1020; ++uid) hostile += served(limits, uid, 2, ms);
    if (ms % 5 == 0) innocent += served(limits, 2000, 1, ms);
  }
  CHECK(hostile + innocent <= 2000 * 3);
  CHECK(innocent == 400);
}

TEST_CASE("half-open connections of many users leave places to others") {
  HelloLimits limits(config);
  std::uint32_t held = 0;
  for (uid_t uid = 1000; uid < 1008; ++uid) {
    for (int i = 0; i < 100; ++i) held += limits.enter(uid, 1) ? 1 : 0;
  }
  CHECK(held == limits.pending());
  CHECK(limits.pending() <= 256 - 64 + 8 * 4);
  CHECK(served(limits, 2000, 3, 1) == 3);
  // What one user holds is at most a quarter, and comes back.
  HelloLimits alone(config);
  for (int i = 0; i < 100; ++i) (void)alone.enter(1000, 1);
  CHECK(alone.pending() == 64);
  for (int i = 0; i < 100; ++i) alone.leave(1000);
  CHECK(alone.pending() == 0);
}

TEST_CASE("a range of uids neither grows the table nor locks anybody out of it") {
  HelloLimits limits({.max_per_second = 1'000'000, .max_per_second_per_uid = 10, .max_pending = 8});
  for (uid_t uid = 0; uid < 70'000; ++uid) REQUIRE(served(limits, uid, 1, 1) == 1);
  // Those with a connection are not forgotten: their places come back.
  REQUIRE(limits.enter(80'000, 2));
  REQUIRE(limits.enter(80'001, 2));
  for (uid_t uid = 90'000; uid < 100'000; ++uid) REQUIRE(served(limits, uid, 1, 2) == 1);
  limits.leave(80'000);
  limits.leave(80'001);
  CHECK(limits.pending() == 0);
}
