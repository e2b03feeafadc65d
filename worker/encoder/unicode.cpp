#include "worker/encoder/unicode.h"

#include <algorithm>
#include <array>

namespace tenantd {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

template <std::size_t N>
bool in_ranges(const std::array<Range, N>& ranges, char32_t c) noexcept {
  return std::any_of(ranges.begin(), ranges.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

constexpr std::array<Range, 5> joiners{
    {{0x300, 0x36F}, {0x200B, 0x200D}, {0x2018, 0x2019}, {0xFE00, 0xFE0F}, {0xAD, 0xAD}}};

constexpr std::array<Range, 16> separators{{{0x80, 0xA9},
                                            {0xAB, 0xB4},
                                            {0xB6, 0xB9},
                                            {0xBB, 0xBF},
                                            {0xD7, 0xD7},
                                            {0xF7, 0xF7},
                                            {0x60C, 0x60C},
                                            {0x61B, 0x61F},
                                            {0x964, 0x965},
                                            {0x2000, 0x206F},
                                            {0x20A0, 0x20CF},
                                            {0x2190, 0x25FF},
                                            {0x3000, 0x3004},
                                            {0x3008, 0x303F},
                                            {0xFF5F, 0xFF65},
                                            {0xFFF0, 0xFFFF}}};

// CJK, kana, Thai, Lao, Myanmar, Khmer; then symbols and pictographs.
constexpr std::array<Range, 9> ideographs{{{0xE00, 0xEFF},
                                           {0x1000, 0x109F},
                                           {0x1780, 0x17FF},
                                           {0x2600, 0x27BF},
                                           {0x2E80, 0x2FFF},
                                           {0x3005, 0x9FFF},
                                           {0xF900, 0xFAFF},
                                           {0x1F000, 0x1FAFF},
                                           {0x20000, 0x3FFFF}}};

// U+00C0 .. U+00FF, then U+0100 .. U+017F, each to its base letter; '*' stays as it is.
constexpr std::string_view latin1_base =
    "aaaaaaaceeeeiiiidnooooo*ouuuuyts"
    "aaaaaaaceeeeiiiidnooooo*ouuuuyty";
constexpr std::string_view latin_a_base =
    "aaaaaaccccccccddddeeeeeeeeeegggg"
    "gggghhhhiiiiiiiiiiiijjkkklllllll"
    "lllnnnnnnnnnoooooooorrrrrrssssss"
    "ssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static_assert(latin1_base.size() == 64 && latin_a_base.size() == 128);

}  // namespace

char32_t decode_utf8(std::string_view text, std::size_t& offset) noexcept {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte_at(offset);
  if (lead < 0x80) {
    ++offset;
    return lead;
  }
  std::size_t length = 0;
  char32_t value = 0;
  char32_t smallest = 0;
  if ((lead & 0xE0U) == 0xC0U) {
    length = 2, value = lead & 0x1FU, smallest = 0x80;
  } else if ((lead & 0xF0U) == 0xE0U) {
    length = 3, value = lead & 0x0FU, smallest = 0x800;
  } else if ((lead & 0xF8U) == 0xF0U) {
    length = 4, value = lead & 0x07U, smallest = 0x10000;
  }
  if (length == 0 || text.size() - offset < length) {
    ++offset;
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    const unsigned char next = byte_at(offset + i);
    if ((next & 0xC0U) != 0x80U) {
      ++offset;
      return 0;
    }
    value = (value << 6U) | (next & 0x3FU);
  }
  if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    ++offset;
    return 0;
  }
  offset += length;
  return value;
}

bool is_valid_utf8(std::string_view text) noexcept {
  for (std::size_t offset = 0; offset < text.size();) {
    const bool is_nul = text[offset] == '\0';
    if (decode_utf8(text, offset) == 0 && !is_nul) return false;
  }
  return true;
}

bool is_printable(std::string_view text) noexcept {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return false;
  }
  return is_valid_utf8(text);
}

void append_utf8(std::string& out, char32_t c) {
  const auto push = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0U | (c >> 6U)), push(0x80U | (c & 0x3FU));
  } else if (c < 0x10000) {
    push(0xE0U | (c >> 12U)), push(0x80U | ((c >> 6U) & 0x3FU)), push(0x80U | (c & 0x3FU));
  } else {
    push(0xF0U | (c >> 18U)), push(0x80U | ((c >> 12U) & 0x3FU));
    push(0x80U | ((c >> 6U) & 0x3FU)), push(0x80U | (c & 0x3FU));
  }
}

CharClass classify(char32_t c) noexcept {
  if (c < 0x80) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alphanumeric) return CharClass::letter;
    return c == '\'' ? CharClass::joiner : CharClass::separator;
  }
  if (in_ranges(joiners, c)) return CharClass::joiner;
  if (c >= 0xFF01 && c <= 0xFF5E) return classify(c - 0xFEE0);
  if (in_ranges(separators, c)) return CharClass::separator;
  if (in_ranges(ideographs, c)) return CharClass::ideograph;
  return CharClass::letter;
}

char32_t fold(char32_t c) noexcept {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c < 0xC0) return c;
  if (c < 0x180) {
    const char base = c < 0x100 ? latin1_base[c - 0xC0] : latin_a_base[c - 0x100];
    return base == '*' ? c : static_cast<char32_t>(base);
  }
  if (c >= 0x391 && c <= 0x3A9) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  if (c >= 0xFF01 && c <= 0xFF5E) return fold(c - 0xFEE0);
  return c;
}

}  // namespace tenantd
