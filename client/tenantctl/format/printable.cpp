#include "client/tenantctl/format/printable.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace tenantd {
namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 at this place
};

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
CodePoint decode_at(std::string_view text, std::size_t at) {
  const auto byte = [&text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(at);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < length) return {};
  static constexpr std::array<std::uint8_t, 5> lead_mask = {0, 0, 0x1f, 0x0f, 0x07};
  std::uint32_t value = first & lead_mask[length];
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {};
    value = (value << 6U) | (byte(at + i) & 0x3fU);
  }
  static constexpr std::array<std::uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
  if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {};
  return {value, length};
}

bool in(std::uint32_t value, std::uint32_t first, std::uint32_t last) noexcept {
  return value >= first && value <= last;
}

bool is_unsafe(std::uint32_t value) noexcept {
  return value < 0x20 || in(value, 0x7f, 0x9f) || in(value, 0x200e, 0x200f) ||
         in(value, 0x2028, 0x202e) || in(value, 0x2066, 0x2069) || value == 0x61c ||
         value == 0xfeff || in(value, 0xe0000, 0xe007f);
}

std::size_t width_of(std::uint32_t value) noexcept {
  if (in(value, 0x300, 0x36f) || in(value, 0x200b, 0x200d) || in(value, 0xfe00, 0xfe0f)) return 0;
  const bool wide = in(value, 0x1100, 0x115f) || in(value, 0x2e80, 0xa4cf) ||
                    in(value, 0xac00, 0xd7a3) || in(value, 0xf900, 0xfaff) ||
                    in(value, 0xfe30, 0xfe6f) || in(value, 0xff00, 0xff60) ||
                    in(value, 0x1f300, 0x1faff) || in(value, 0x20000, 0x3fffd);
  return wide ? 2 : 1;
}

void append_escape(std::string& out, const char* format, std::uint32_t value) {
  std::array<char, 16> text{};
  (void)std::snprintf(text.data(), text.size(), format, value);
  out += text.data();
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    if (point.bytes == 0) {
      append_escape(out, "\\x%02x", static_cast<std::uint8_t>(text[at++]));
      continue;
    }
    if (!is_unsafe(point.value)) {
      out += text.substr(at, point.bytes);
    } else if (point.value == '\n') {
      out += "\\n";
    } else if (point.value == '\t') {
      out += "\\t";
    } else {
      append_escape(out, point.value < 0x80 ? "\\x%02x" : "\\u{%04x}", point.value);
    }
    at += point.bytes;
  }
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_at(text, at);
    width += point.bytes == 0 ? 1 : width_of(point.value);
    at += point.bytes == 0 ? 1 : point.bytes;
  }
  return width;
}

std::string shortened(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  std::size_t width = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const CodePoint point = decode_at(text, at);
    const std::size_t next = point.bytes == 0 ? 1 : width_of(point.value);
    if (width + next + 1 > columns) break;
    width += next;
    at += point.bytes == 0 ? 1 : point.bytes;
  }
  return std::string(text.substr(0, at)) + "…";
}

}  // namespace tenantd
