#include "shared/loop/loop.h"

#include <doctest/doctest.h>

#include <memory>
#include <thread>

using namespace tenantd;

TEST_CASE("a timer may start itself again and destroy itself in its own callback") {
  Loop loop;
  auto timer = std::make_unique<Timer>(loop);
  int fired = 0;
  timer->start(1, [&] {
    ++fired;
    timer->start(1, [&] {
      ++fired;
      timer.reset();
    });
  });
  loop.run();
  CHECK(fired == 2);
  CHECK(timer == nullptr);
}

TEST_CASE("an async wakes the loop from another thread") {
  Loop loop;
  int woken = 0;
  std::unique_ptr<Async> async;
  async = std::make_unique<Async>(loop, [&] {
    ++woken;
    async.reset();
  });
  std::thread sender([&] { async->send(); });
  loop.run();
  sender.join();
  CHECK(woken == 1);
}

TEST_CASE("polling a regular file is an error, not a crash") {
  Loop loop;
  Poll poll;
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK_FALSE(poll.start(loop, fileno(file), UV_READABLE, [](int) {}).has_value());
  std::fclose(file);
}
