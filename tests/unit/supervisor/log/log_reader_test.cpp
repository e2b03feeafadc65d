// A hostile writer on the other end of a log pipe.
#include "supervisor/log/log_reader.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "shared/base/clock.h"

using namespace tenantd;

TEST_CASE("a flood of short lines is paid for in windows, and so is one without a newline") {
  ReadBudget budget;
  budget.charge(16384, 8192);  // "x\n" all over
  int windows = 0;
  for (; budget.exhausted(); ++windows) budget.next_window();
  CHECK(windows >= 8);
  budget = {};
  for (int reads = 0; reads < 4; ++reads) {
    CHECK_FALSE(budget.exhausted());
    budget.charge(16384, 0);
  }
  CHECK(budget.exhausted());
  budget.next_window();
  CHECK(budget.unused());
  budget.charge(2000, 20);  // an ordinary program's second
  CHECK_FALSE(budget.exhausted());
}

TEST_CASE("the reader goes on by itself after a pause, and the last words are heard") {
  Loop loop;
  auto pipe = make_log_pipe().value();
  std::string last;
  std::uint64_t lines = 0;
  const auto reader = LogReader::create(loop, std::move(pipe.read_end), 10,
                                        [&](std::string_view line, std::uint64_t suppressed) {
                                          last = line;
                                          lines += 1 + suppressed;
                                        })
                          .value();
  std::string flood;
  while (flood.size() < 2 * ReadBudget::window_bytes / ReadBudget::bytes_a_line + 100) {
    flood += "x\n";
  }
  const auto size = static_cast<ssize_t>(flood.size());
  REQUIRE(::write(pipe.write_end.get(), flood.data(), flood.size()) == size);
  loop.run_once();
  CHECK(last == "x");
  // The rate gives a line way after a while: said until it is heard.
  const std::string word = "the end\n";
  const std::uint64_t until = monotonic_ns() + 30'000'000'000;
  while (last != "the end" && monotonic_ns() < until) {
    (void)::write(pipe.write_end.get(), word.data(), word.size());
    ::usleep(5000);
    loop.run_once();
  }
  CHECK(last == "the end");
  CHECK(lines > flood.size() / 2);  // counted, not forgotten
}
