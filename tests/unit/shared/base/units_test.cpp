#include "shared/base/units.h"

#include <doctest/doctest.h>

using namespace tenantd;

TEST_CASE("sizes take powers of 1024 and nothing else") {
  CHECK(parse_size_bytes("64M") == 64ULL << 20U);
  CHECK(parse_size_bytes("2G") == 2ULL << 30U);
  CHECK(parse_size_bytes("512") == 512);
  for (const char* bad :
       {"", "M", "-1M", "1.5G", "1MB", "1m", "99999999999999999999", "17000000T"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_size_bytes(bad).has_value());
  }
  CHECK(format_size(512) == "512");
  CHECK(format_size(64ULL << 20U) == "64M");
  CHECK(format_size(1536ULL << 20U) == "1.5G");
}

TEST_CASE("durations demand a unit") {
  CHECK(parse_duration_ms("250ms") == 250);
  CHECK(parse_duration_ms("7d") == 604'800'000);
  CHECK_FALSE(parse_duration_ms("30").has_value());
  CHECK_FALSE(parse_duration_ms("1w").has_value());
}

TEST_CASE("money is exact nanos and round-trips") {
  CHECK(parse_money("10000.00 USD") == Money{10'000'000'000'000, "USD"});
  CHECK(parse_money("0.0000001 EUR") == Money{100, "EUR"});
  for (const char* text : {"10000.00 USD", "0.000000001 EUR", "1.25 JPY", "0.00 USD"}) {
    CHECK(format_money(parse_money(text).value()) == text);
  }
  for (const char* bad : {"10", "10 usd", "-1 USD", "1. USD", "1.0000000001 USD", "9223372037 USD",
                          "1 USDX", "1e3 USD"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_money(bad).has_value());
  }
}
