#include "supervisor/log/line_splitter.h"

#include <doctest/doctest.h>

#include <vector>

using namespace tenantd;

namespace {

std::vector<std::string> split(std::initializer_list<std::string_view> pieces, bool finish = true) {
  std::vector<std::string> lines;
  LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); });
  for (const std::string_view piece : pieces) splitter.feed(piece);
  if (finish) splitter.finish();
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("lines are cut at newlines, across reads, and empty ones are left out") {
  CHECK(split({"one\ntwo\n"}) == Lines{"one", "two"});
  CHECK(split({"on", "e\n\n\ntw", "o"}) == Lines{"one", "two"});
  CHECK(split({"one\ntwo"}, false) == Lines{"one"});
  CHECK(split({"dos\r\n"}) == Lines{"dos"});
  CHECK(split({}).empty());
}

TEST_CASE("control characters become visible") {
  CHECK(split({"a\x1b[31mred\x7f\n"}) == Lines{"a\\x1b[31mred\\x7f"});
  CHECK(split({std::string_view("nul\0x\n", 6)}) == Lines{"nul\\x00x"});
  CHECK(split({"a\xc2\x9b"
               "31m\n"}) == Lines{"a\\xc2\\x9b31m"});
}

TEST_CASE("a line is UTF-8, whatever was written") {
  CHECK(split({"gr\xc3", "\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82\n"}) ==
        Lines{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82"});
  CHECK(split({"\xff|\xc3|\xc0\x80|\xed\xa0\x80|\xf4\x90\x80\x80\n"}) ==
        Lines{"\\xff|\\xc3|\\xc0\\x80|\\xed\\xa0\\x80|\\xf4\\x90\\x80\\x80"});
  const Lines cut = split({std::string(505, 'x') + "\xe2\x82\xac\xe2\x82\xac\n"});
  REQUIRE(cut.size() == 1);
  CHECK(cut[0] == std::string(505, 'x') + "...");
}

TEST_CASE("a long line is cut once, and the next one is whole") {
  const std::string flood(100'000, 'x');
  const Lines lines = split({flood, flood, "\nnext\n"});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].size() <= LineSplitter::max_line_bytes);
  CHECK(lines[0].ends_with("xxx..."));
  CHECK(lines[1] == "next");
}

TEST_CASE("the rate bound passes a burst, then counts what it turns away") {
  LineRate rate(10);
  int passed = 0;
  for (int i = 0; i < 50; ++i) passed += rate.allow(1000) ? 1 : 0;
  CHECK(passed == 10);
  CHECK(rate.take_suppressed() == 40);
  CHECK(rate.take_suppressed() == 0);
  CHECK(rate.allow(1100));  // a tenth of a second is one line
  CHECK(!rate.allow(1100));
  CHECK(rate.take_suppressed() == 1);
}
