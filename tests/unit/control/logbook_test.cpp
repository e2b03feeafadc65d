#include "control/logbook/logbook.h"

#include <doctest/doctest.h>

using namespace tenantd;

namespace {

LogLine line_of(std::string_view tenant, std::string_view text) {
  LogLine line;
  line.tenant_id.assign_truncated(tenant);
  line.text.assign_truncated(text);
  return line;
}

}  // namespace

TEST_CASE("the total is bounded and the least recently written tenant goes first") {
  LogBook book(64'000);
  book.append(line_of("old", "one"));
  const std::string text(500, 'x');
  for (int i = 0; i < 50; ++i) book.append(line_of("busy", text));
  book.append(line_of("old", "two"));  // busy is now the least recent
  while (book.knows("busy")) book.append(line_of("flood", text));
  CHECK(book.knows("old"));
  CHECK(book.bytes() <= 64'000);
  for (int i = 0; i < 1000; ++i) book.append(line_of("flood", text));
  CHECK_FALSE(book.knows("old"));
  CHECK(!book.read("flood", 256, 0).empty());
  CHECK(book.bytes() > 64'000);  // one tenant's own bound is the last
}

TEST_CASE("a line of no valid tenant is dropped") {
  LogBook book;
  book.append(line_of("../x", "one"));
  book.append(line_of("", "one"));
  CHECK(book.bytes() == 0);
}
