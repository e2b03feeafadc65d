// Text into words: what the hash encoder hashes and what BM25 counts, so that both see the same
// words.
//
// Runs in: worker, on text that clients wrote. Any byte sequence is accepted and nothing is
// unbounded: the caller bounds the text, a word keeps its first `max_token_bytes`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenantd {

inline constexpr std::size_t max_tokenized_bytes = 64U * 1024U;
inline constexpr std::size_t max_token_bytes = 64;

struct Token {
  std::uint64_t hash = 0;         // of the folded, stemmed word
  std::uint32_t offset = 0;       // into TokenList::letters
  std::uint16_t length = 0;       // bytes
  bool is_function_word = false;  // "the", "my", "is": says nothing about the subject
};

// Reused between calls: clearing keeps the capacity.
struct TokenList {
  std::string letters;
  std::vector<Token> tokens;  // in text order

  [[nodiscard]] std::string_view view(const Token& token) const noexcept {
    return std::string_view(letters).substr(token.offset, token.length);
  }
  void clear() noexcept {
    letters.clear();
    tokens.clear();
  }
};

// Replaces the content of `out`. Words are lower-cased, accents and apostrophes dropped; English
// plurals and -ing/-ed forms lose their ending (a light form of Porter 1980); an ideograph is a
// word by itself. `text` longer than max_tokenized_bytes is cut there.
void tokenize(std::string_view text, TokenList& out);

// The stem that tokenize() gives a folded word: a prefix of it, at least three bytes, or the word
// itself.
[[nodiscard]] std::string_view light_stem(std::string_view word) noexcept;

}  // namespace tenantd
