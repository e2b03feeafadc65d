// Sizes ("64M", "2G"), durations ("250ms", "30s", "5m", "2h", "7d") and money as people write them.
//
// Runs in: everything. Money is int64 nanos (1e-9) of a currency, never floating point.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace tenantd {

// Bytes. Suffixes K, M, G, T are powers of 1024; none means bytes. Errors: invalid_argument (empty,
// negative, a fraction, an unknown suffix, overflow).
[[nodiscard]] Result<std::uint64_t> parse_size_bytes(std::string_view text);
// Milliseconds. A unit is demanded: ms, s, m, h, d.
[[nodiscard]] Result<std::uint64_t> parse_duration_ms(std::string_view text);
// "1.5G", "64M", "512": the shortest form with at most one decimal, for people.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

struct Money {
  std::int64_t nanos = 0;  // 1e-9 of one unit of the currency
  std::string currency;    // ISO 4217, three capitals
  friend bool operator==(const Money&, const Money&) = default;
};
// "10000.00 USD": up to nine decimals, then a space, then the currency. Errors: invalid_argument
// (a missing currency, more than nine decimals, a sign, overflow of int64 nanos).
[[nodiscard]] Result<Money> parse_money(std::string_view text);
// The exact inverse of parse_money with at least two decimals.
[[nodiscard]] std::string format_money(const Money& money);

}  // namespace tenantd
