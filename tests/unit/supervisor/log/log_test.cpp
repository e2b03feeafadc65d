#include "supervisor/log/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "supervisor/log/log_reader.h"

using namespace tenantd;

namespace {

std::string read_all(int fd) {
  std::string text;
  std::array<char, 65536> buffer;
  for (ssize_t n = 0; (n = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace

TEST_CASE("a JSON line holds its fields whatever the message") {
  auto pipe = make_log_pipe().value();
  Log log(pipe.write_end.get(), LogFormat::json, LogLevel::info);
  log.info("quote \" backslash \\ newline \n end", {.tenant = "acme", .pid = 7, .generation = 3});
  log.write(LogLevel::debug, "not shown");
  const auto line = nlohmann::json::parse(read_all(pipe.read_end.get()));
  CHECK(line["message"] == "quote \" backslash \\ newline \n end");
  CHECK(line["tenant"] == "acme");
  CHECK(line["pid"] == 7);
  CHECK(line["generation"] == 3);
  CHECK(line["level"] == "info");
}

TEST_CASE("a full pipe drops lines, counts them, and never blocks") {
  auto pipe = make_log_pipe().value();
  Log log(pipe.write_end.get(), LogFormat::text, LogLevel::info);
  const std::string message(1000, 'm');
  for (int i = 0; i < 500; ++i) log.info(message);
  const std::uint64_t lost = log.dropped();
  CHECK(lost > 0);
  CHECK(lost < 500);
  (void)read_all(pipe.read_end.get());
  log.info("after");
  CHECK(log.dropped() == lost);
  CHECK(read_all(pipe.read_end.get()).find("lines lost") != std::string::npos);
}

TEST_CASE("a program's lines are read from its pipe, with the rate bound") {
  Loop loop;
  auto pipe = make_log_pipe().value();
  std::vector<std::string> lines;
  auto reader = LogReader::create(
      loop, std::move(pipe.read_end), 3,
      [&lines](std::string_view line, std::uint64_t) { lines.emplace_back(line); });
  REQUIRE(reader.has_value());
  const std::string text = "1\n2\n3\n4\n5\n";
  REQUIRE(::write(pipe.write_end.get(), text.data(), text.size()) == 10);
  loop.run_once();
  CHECK(lines == std::vector<std::string>{"1", "2", "3"});
}
