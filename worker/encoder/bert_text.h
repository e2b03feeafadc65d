// Text as BERT's tokenizers see it before WordPiece: cleaned, folded, cut into words.
//
// Runs in: worker, on text that clients wrote. Any bytes are accepted: what is not UTF-8 vanishes
// as U+FFFD does. Follows BertNormalizer and BertPreTokenizer of Hugging Face's tokenizers and,
// where they and the reference of Model2Vec's published vectors differ, that reference: the final
// sigma is lower-cased as in Greek, ideographs outside the basic plane are no words by themselves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenantd {

// A word's place in BertText::letters.
struct BertWord {
  std::uint32_t offset;
  std::uint32_t bytes;
};

// Scratch and result; reused between calls, clearing keeps the capacity.
struct BertText {
  std::string letters;          // UTF-8 of all words, one after the other
  std::vector<BertWord> words;  // in text order
  std::u32string code_points;   // scratch
  std::u32string folded;        // scratch
};

// Replaces the content of `out`. `flags`: model_cleans_text and the others of model_file.h. The
// caller bounds the text.
void cut_bert_words(std::string_view text, std::uint32_t flags, BertText& out);

}  // namespace tenantd
