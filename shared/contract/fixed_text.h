// Text in a fixed-size message: at most N-1 bytes, zero-terminated, the rest zero.
//
// Runs in: every process that sends or reads a contract message. A peer may have written the bytes:
// `view()` never reads past the array, and `valid()` says whether the terminator is there.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace tenantd {

template <std::size_t N>
struct FixedText {
  std::array<char, N> bytes{};

  // False, and nothing is written, when `text` does not fit with its terminator or holds a NUL.
  [[nodiscard]] bool assign(std::string_view text) noexcept {
    if (text.size() >= N || text.find('\0') != std::string_view::npos) return false;
    bytes.fill('\0');
    std::copy(text.begin(), text.end(), bytes.begin());
    return true;
  }
  // Keeps the first N-1 bytes. For messages to people only, never for ids.
  void assign_truncated(std::string_view text) noexcept {
    text = text.substr(0, std::min(text.find('\0'), N - 1));
    bytes.fill('\0');
    std::copy(text.begin(), text.end(), bytes.begin());
  }
  [[nodiscard]] bool valid() const noexcept { return bytes[N - 1] == '\0'; }
  [[nodiscard]] std::string_view view() const noexcept {
    return {bytes.data(), ::strnlen(bytes.data(), N)};
  }
  friend bool operator==(const FixedText&, const FixedText&) = default;
};

}  // namespace tenantd
