#include "supervisor/log/line_splitter.h"

#include <algorithm>
#include <utility>

namespace tenantd {
namespace {

struct Range {
  unsigned char first;
  unsigned char last;
};

// What may follow the first byte of a sequence (RFC 3629), the C1 controls left out.
Range second_byte(unsigned char first) noexcept {
  switch (first) {
    case 0xc2:
    case 0xe0:
      return {0xa0, 0xbf};
    case 0xed:
      return {0x80, 0x9f};
    case 0xf0:
      return {0x90, 0xbf};
    case 0xf4:
      return {0x80, 0x8f};
    default:
      return {0x80, 0xbf};
  }
}

// Bytes of the printable character that `text` starts with; 0: it starts with none.
std::size_t character_bytes(std::string_view text) noexcept {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return (first < 0x20 && first != '\t') || first == 0x7f ? 0 : 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (text.size() < length) return 0;
  Range allowed = second_byte(first);
  for (std::size_t i = 1; i < length; ++i, allowed = {0x80, 0xbf}) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < allowed.first || byte > allowed.last) return 0;
  }
  return length;
}

std::string visible(std::string_view raw, bool cut) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string line;
  while (!raw.empty()) {
    const std::size_t length = character_bytes(raw);
    if (line.size() + std::max<std::size_t>(length, 4) > LineSplitter::max_line_bytes - 3) break;
    if (length > 0) {
      line += raw.substr(0, length);
    } else {
      const auto value = static_cast<unsigned char>(raw.front());
      line.append("\\x").append({digits[value >> 4U], digits[value & 15U]});
    }
    raw.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return cut || !raw.empty() ? line + "..." : line;
}

}  // namespace

void LineSplitter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::size_t room = max_line_bytes - raw_.size();
    overlong_ = overlong_ || end > room;
    raw_ += bytes.substr(0, std::min(end, room));
    if (end == bytes.size()) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void LineSplitter::end_line() {
  // A carriage return before the newline is a terminal's habit, not content.
  if (!overlong_ && raw_.ends_with('\r')) raw_.pop_back();
  const std::string line = visible(raw_, overlong_);
  overlong_ = false;
  raw_.clear();
  if (!line.empty()) on_line_(line);
}

void LineSplitter::finish() {
  if (!raw_.empty()) end_line();
}

bool LineRate::allow(std::uint64_t now_ms) noexcept {
  const std::uint64_t elapsed_ms =
      std::min<std::uint64_t>(now_ms - std::min(now_ms, last_ms_), 1000);
  last_ms_ = now_ms;
  tokens_milli_ = std::min<std::uint64_t>(tokens_milli_ + elapsed_ms * per_second_,
                                          std::uint64_t{per_second_} * 1000);
  if (tokens_milli_ < 1000) {
    ++suppressed_;
    return false;
  }
  tokens_milli_ -= 1000;
  return true;
}

std::uint64_t LineRate::take_suppressed() noexcept { return std::exchange(suppressed_, 0); }

}  // namespace tenantd
