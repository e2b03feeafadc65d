#include "client/tenantctl/format/printable.h"

#include <doctest/doctest.h>

#include "client/tenantctl/format/table.h"

using namespace tenantd;

TEST_CASE("terminal escapes and invisible directions do not get through") {
  CHECK(printable("\033[2J\033]0;title\a") == "\\x1b[2J\\x1b]0;title\\x07");
  CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\x0dd");
  CHECK(printable("\x7f") == "\\x7f");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\u{009b}31m");  // C1 CSI
  CHECK(printable("\xe2\x80\xae"
                  "evil") == "\\u{202e}evil");  // right-to-left override
  CHECK(printable("\xe2\x81\xa6") == "\\u{2066}");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
}

TEST_CASE("UTF-8 stays, what is none is shown as bytes") {
  CHECK(printable("Grüße 日本 🚀") == "Grüße 日本 🚀");
  CHECK(printable("\xff\xfe") == "\\xff\\xfe");
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");           // overlong
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // surrogate
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(printable("cut \xe6\x97") == "cut \\xe6\\x97");
}

TEST_CASE("widths are columns") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("Grüße") == 5);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(shortened("abcdef", 4) == "abc…");
  CHECK(shortened("日本語", 4) == "日…");
  CHECK(shortened("abcd", 4) == "abcd");
}

TEST_CASE("a table is aligned, escaped, and has no blanks at line ends") {
  Table table({"NAME", "STATE", "NOTE"});
  table.add({"日本", Cell("running", Color::good), ""});
  table.add({"a\033[1m", "x", "why"});
  CHECK(table.text(false) ==
        "NAME      STATE    NOTE\n"
        "日本      running\n"
        "a\\x1b[1m  x        why\n");
  CHECK(table.text(true).find("\033[32mrunning\033[0m") != std::string::npos);
}
