#include "worker/encoder/bert_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "shared/contract/model_file.h"
#include "worker/encoder/unicode.h"

namespace tenantd {
namespace {

constexpr char32_t replacement = 0xFFFD;
constexpr char32_t capital_sigma = 0x3A3;
constexpr char32_t final_sigma = 0x3C2;

utf8proc_category_t category(char32_t c) noexcept {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_other(char32_t c) noexcept {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
      return true;
    default:
      return false;
  }
}

bool is_space(char32_t c) noexcept {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x1F);
  const auto kind = category(c);
  return c == 0x85 || kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
         kind == UTF8PROC_CATEGORY_ZP;
}

bool is_punctuation(char32_t c) noexcept {
  if (c < 0x80) {
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
           (c >= 123 && c <= 126);
  }
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool is_ideograph(char32_t c) noexcept {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0xF900 && c <= 0xFAFF);
}

void clean(std::string_view text, std::uint32_t flags, std::u32string& out) {
  out.clear();
  for (std::size_t offset = 0; offset < text.size();) {
    const bool is_nul = text[offset] == '\0';
    char32_t c = decode_utf8(text, offset);
    if (c == 0 && !is_nul) c = replacement;
    if (c >= ' ' && c < 0x7F) {
      out.push_back(c);
      continue;
    }
    if ((flags & model_cleans_text) != 0) {
      if (c == 0 || c == replacement) continue;
      const bool white = c == '\t' || c == '\n' || c == '\r';
      if (!white && is_other(c)) continue;
      if (white || is_space(c)) c = ' ';
    }
    const bool spaced = (flags & model_spaces_ideographs) != 0 && is_ideograph(c);
    if (spaced) out.push_back(' ');
    out.push_back(c);
    if (spaced) out.push_back(' ');
  }
}

// NFD without nonspacing marks (Mn). Marks of other kinds that NFD would sort among each other keep
// their order: no vocabulary has them.
void strip_accents(const std::u32string& text, std::u32string& out) {
  out.clear();
  for (const char32_t c : text) {
    if (c < 0x80) {
      out.push_back(c);
      continue;
    }
    std::array<utf8proc_int32_t, 32> parts{};  // the longest canonical decomposition has 4
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                                               parts.size(), UTF8PROC_DECOMPOSE, &boundary);
    if (count < 0 || static_cast<std::size_t>(count) > parts.size()) continue;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const auto part = static_cast<char32_t>(parts[i]);
      if (category(part) != UTF8PROC_CATEGORY_MN) out.push_back(part);
    }
  }
}

// Unicode's Cased: the letters with a case, and the ordinals, numerals and circled letters that are
// of one.
bool is_cased(char32_t c) noexcept {
  if (c == 0xAA || c == 0xBA || (c >= 0x2160 && c <= 0x217F) || (c >= 0x24B6 && c <= 0x24E9)) {
    return true;
  }
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL ||
         kind == UTF8PROC_CATEGORY_LT;
}

// Unicode's Case_Ignorable: marks, formats, modifiers and what joins the letters of a word.
bool is_case_ignorable(char32_t c) noexcept {
  constexpr std::u32string_view joiners =
      U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
  if (joiners.find(c) != joiners.npos) return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return false;
  }
}

// Final_Sigma of SpecialCasing.txt: a letter before it, none behind it.
bool ends_word(const std::u32string& text, std::size_t at) noexcept {
  std::size_t before = at;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  std::size_t behind = at + 1;
  while (behind < text.size() && is_case_ignorable(text[behind])) ++behind;
  return behind == text.size() || !is_cased(text[behind]);
}

void lower_case(std::u32string& text) {
  // Looked for in what is still as it was written: lower-casing changes no letter's being one.
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c < 0x80) {
      if (c >= 'A' && c <= 'Z') text[i] = c + 32;
    } else if (c == capital_sigma) {
      text[i] = ends_word(text, i) ? final_sigma : capital_sigma + 32;
    } else {
      text[i] = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    }
  }
}

void cut(const std::u32string& text, BertText& out) {
  out.letters.clear();
  out.words.clear();
  std::size_t start = 0;
  const auto finish = [&out, &start] {
    if (out.letters.size() > start) {
      out.words.push_back({static_cast<std::uint32_t>(start),
                           static_cast<std::uint32_t>(out.letters.size() - start)});
    }
    start = out.letters.size();
  };
  for (const char32_t c : text) {
    if (is_space(c)) {
      finish();
    } else if (is_punctuation(c)) {
      finish();
      append_utf8(out.letters, c);
      finish();
    } else {
      append_utf8(out.letters, c);
    }
  }
  finish();
}

}  // namespace

void cut_bert_words(std::string_view text, std::uint32_t flags, BertText& out) {
  clean(text, flags, out.code_points);
  if ((flags & model_strips_accents) != 0) {
    strip_accents(out.code_points, out.folded);
    std::swap(out.folded, out.code_points);
  }
  if ((flags & model_lower_cases) != 0) lower_case(out.code_points);
  cut(out.code_points, out);
}

}  // namespace tenantd
