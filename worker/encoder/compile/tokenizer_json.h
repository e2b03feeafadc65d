// tokenizer.json of Hugging Face's tokenizers, as far as Model2Vec publishes it with WordPiece.
//
// Runs in: tenantd-encoder. What a tokenizer asks for and this reader does not do is refused, never
// left out: tokens would differ without anybody noticing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

struct VocabularyEntry {
  std::string text;
  std::uint32_t token;
};

struct WordPieceTokenizer {
  std::vector<VocabularyEntry> vocabulary;  // by text, no duplicates; no empty text
  std::uint32_t flags = 0;                  // model_cleans_text and the others
  std::string prefix;                       // of pieces inside a word: "##"
  std::uint32_t unknown_token = 0;          // ModelHeader::no_token: none
  std::uint32_t max_word_letters = 100;
};

inline constexpr std::size_t max_vocabulary = 4U << 20U;
inline constexpr std::size_t max_piece_bytes = 256;

// Errors: invalid_config with the reason. Added tokens and the post-processor are not looked at: a
// client's text never spells "[CLS]", and Model2Vec adds no token to a text.
[[nodiscard]] Result<WordPieceTokenizer> read_tokenizer(std::string_view text);

}  // namespace tenantd
