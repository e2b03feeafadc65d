// Just enough Unicode to cut text into words without a locale: decoding, classes, folding.
//
// Runs in: worker, on text that clients wrote. Never fails: a malformed byte is a separator.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenantd {

// The code point at `offset` (< text.size()), which moves past it; 0 for a malformed sequence
// (overlong, surrogate, above U+10FFFF, cut off), which moves `offset` by one byte. RFC 3629.
[[nodiscard]] char32_t decode_utf8(std::string_view text, std::size_t& offset) noexcept;
// False where decode_utf8 would meet a malformed sequence.
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;
// Valid, and without ASCII's control characters.
[[nodiscard]] bool is_printable(std::string_view text) noexcept;
void append_utf8(std::string& out, char32_t code_point);

enum class CharClass : std::uint8_t {
  separator,  // spaces, punctuation, symbols, malformed bytes
  letter,     // belongs to a word
  ideograph,  // a word by itself: scripts written without spaces, and pictographs
  joiner,     // apostrophes and combining marks: dropped without ending the word
};
[[nodiscard]] CharClass classify(char32_t code_point) noexcept;
// Lower case, and without accent where Latin letters have one ("É" -> 'e', "Ж" -> 'ж').
[[nodiscard]] char32_t fold(char32_t code_point) noexcept;

}  // namespace tenantd
