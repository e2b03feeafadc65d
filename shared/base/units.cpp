#include "shared/base/units.h"

#include <charconv>
#include <cstdio>
#include <limits>

namespace tenantd {
namespace {

// Splits leading digits from the rest; fails on no digits or overflow.
bool split_number(std::string_view text, std::uint64_t& number, std::string_view& rest) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end == text.data()) return false;
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& out) {
  return !__builtin_mul_overflow(a, b, &out);
}

}  // namespace

Result<std::uint64_t> parse_size_bytes(std::string_view text) {
  static constexpr std::string_view hint = "a whole number with K, M, G or T, such as \"64M\"";
  std::uint64_t number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) {
    return fail(ErrorCode::invalid_argument, "not a size", std::string(hint));
  }
  std::uint64_t factor = 0;
  if (unit.empty()) factor = 1;
  if (unit == "K") factor = 1ULL << 10U;
  if (unit == "M") factor = 1ULL << 20U;
  if (unit == "G") factor = 1ULL << 30U;
  if (unit == "T") factor = 1ULL << 40U;
  std::uint64_t bytes = 0;
  if (factor == 0 || !multiply(number, factor, bytes)) {
    return fail(ErrorCode::invalid_argument, "not a size", std::string(hint));
  }
  return bytes;
}

Result<std::uint64_t> parse_duration_ms(std::string_view text) {
  static constexpr std::string_view hint = "a whole number with ms, s, m, h or d, such as \"30s\"";
  std::uint64_t number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) {
    return fail(ErrorCode::invalid_argument, "not a duration", std::string(hint));
  }
  std::uint64_t factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "m") factor = 60'000;
  if (unit == "h") factor = 3'600'000;
  if (unit == "d") factor = 86'400'000;
  std::uint64_t duration_ms = 0;
  if (factor == 0 || !multiply(number, factor, duration_ms)) {
    return fail(ErrorCode::invalid_argument, "not a duration", std::string(hint));
  }
  return duration_ms;
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::string_view units = "KMGT";
  if (bytes < 1024) return std::to_string(bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (value /= 1024; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  char buffer[32];
  const bool whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
  (void)std::snprintf(buffer, sizeof buffer, whole ? "%.0f%c" : "%.1f%c", value, units[unit]);
  return buffer;
}

Result<Money> parse_money(std::string_view text) {
  const auto refuse = [] {
    return fail(ErrorCode::invalid_argument, "not an amount of money",
                "a decimal and a currency, such as \"10000.00 USD\"");
  };
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return refuse();
  std::string_view amount = text.substr(0, space);
  const std::string_view currency = text.substr(space + 1);
  if (currency.size() != 3) return refuse();
  for (const char c : currency) {
    if (c < 'A' || c > 'Z') return refuse();
  }
  std::uint64_t whole = 0;
  std::string_view rest;
  if (!split_number(amount, whole, rest)) return refuse();
  std::uint64_t fraction_nanos = 0;
  if (!rest.empty()) {
    const std::string_view digits = rest.substr(1);
    std::string_view tail;
    if (rest.front() != '.' || digits.empty() || digits.size() > 9) return refuse();
    if (!split_number(digits, fraction_nanos, tail) || !tail.empty()) return refuse();
    for (std::size_t i = digits.size(); i < 9; ++i) fraction_nanos *= 10;
  }
  std::uint64_t nanos = 0;
  if (!multiply(whole, 1'000'000'000ULL, nanos) ||
      __builtin_add_overflow(nanos, fraction_nanos, &nanos) ||
      nanos > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return refuse();
  }
  return Money{static_cast<std::int64_t>(nanos), std::string(currency)};
}

std::string format_money(const Money& money) {
  std::string fraction = std::to_string(money.nanos % 1'000'000'000);
  fraction.insert(0, 9 - fraction.size(), '0');
  while (fraction.size() > 2 && fraction.back() == '0') fraction.pop_back();
  return std::to_string(money.nanos / 1'000'000'000) + '.' + fraction + ' ' + money.currency;
}

}  // namespace tenantd
