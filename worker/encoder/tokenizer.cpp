#include "worker/encoder/tokenizer.h"

#include <algorithm>
#include <array>

#include "worker/encoder/hashing.h"
#include "worker/encoder/unicode.h"

namespace tenantd {
namespace {

// Sorted, folded, without apostrophes. English pronouns, articles, auxiliaries and prepositions;
// question words that carry a subject of their own ("when", "where") are kept out of it, as is
// every negation.
constexpr auto function_words = std::to_array<std::string_view>(
    {"a",      "about", "all",  "am",    "an",   "and",   "any", "are",   "as",     "at",
     "be",     "been",  "but",  "by",    "can",  "could", "did", "do",    "does",   "for",
     "from",   "had",   "has",  "have",  "he",   "her",   "hi",  "him",   "his",    "i",
     "id",     "if",    "ill",  "im",    "in",   "into",  "is",  "it",    "its",    "ive",
     "just",   "like",  "me",   "my",    "of",   "on",    "or",  "our",   "please", "she",
     "should", "so",    "some", "than",  "that", "thats", "the", "their", "them",   "then",
     "there",  "they",  "this", "to",    "us",   "was",   "we",  "were",  "what",   "whats",
     "which",  "will",  "with", "would", "you",  "your"});
static_assert(std::is_sorted(function_words.begin(), function_words.end()));

bool is_vowel(char c) noexcept {
  return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

bool has_vowel(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), is_vowel);
}

bool is_plain_ascii(std::string_view word) noexcept {
  return std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

// "stopp" -> "stop", as the ending doubled the consonant; "add", "call" and "miss" keep theirs.
std::string_view undouble(std::string_view stem) noexcept {
  const std::size_t n = stem.size();
  if (n < 4 || stem[n - 1] != stem[n - 2] || is_vowel(stem[n - 1])) return stem;
  const char last = stem[n - 1];
  return last == 'l' || last == 's' || last == 'z' ? stem : stem.substr(0, n - 1);
}

std::string_view strip_plural(std::string_view word) noexcept {
  if (word.size() < 4 || word.back() != 's') return word;
  if (word.ends_with("ss") || word.ends_with("us") || word.ends_with("is")) return word;
  if (word.ends_with("ies")) return word.substr(0, word.size() - 2);
  if (word.ends_with("ches") || word.ends_with("shes") || word.ends_with("sses") ||
      word.ends_with("xes")) {
    return word.substr(0, word.size() - 2);
  }
  return word.substr(0, word.size() - 1);
}

class WordCollector {
 public:
  explicit WordCollector(TokenList& out) noexcept : out_(out) {}

  void add(char32_t folded) {
    if (out_.letters.size() - start_ + 4 <= max_token_bytes) append_utf8(out_.letters, folded);
  }
  void finish_word() {
    const std::string_view word = std::string_view(out_.letters).substr(start_);
    if (word.empty()) return;
    const bool is_function_word =
        std::binary_search(function_words.begin(), function_words.end(), word);
    const std::string_view stem = is_function_word ? word : light_stem(word);
    push(stem, is_function_word);
    out_.letters.resize(start_ + stem.size());
    start_ = out_.letters.size();
  }
  void add_ideograph(char32_t folded) {
    finish_word();
    append_utf8(out_.letters, folded);
    push(std::string_view(out_.letters).substr(start_), false);
    start_ = out_.letters.size();
  }

 private:
  void push(std::string_view word, bool is_function_word) {
    out_.tokens.push_back({hash_text(word), static_cast<std::uint32_t>(start_),
                           static_cast<std::uint16_t>(word.size()), is_function_word});
  }

  TokenList& out_;
  std::size_t start_ = 0;  // of the word being collected; letters behind it belong to tokens
};

}  // namespace

std::string_view light_stem(std::string_view word) noexcept {
  if (word.size() < 4 || !is_plain_ascii(word)) return word;
  std::string_view stem = strip_plural(word);
  for (const std::string_view ending : {std::string_view("ing"), std::string_view("ed")}) {
    if (!stem.ends_with(ending)) continue;
    const std::string_view rest = stem.substr(0, stem.size() - ending.size());
    if (rest.size() >= 3 && has_vowel(rest)) stem = undouble(rest);
    break;
  }
  // "cancel" and "cancelled", "instal" and "install": British and American spelling meet.
  if (stem.size() >= 6 && stem.ends_with("ll")) stem.remove_suffix(1);
  // "change" and "changing", "activate" and "activated" meet without their silent e; "copy" and
  // "copies" without the y that became i.
  if (stem.size() >= 4 && stem.back() == 'e') return stem.substr(0, stem.size() - 1);
  if (stem.size() >= 4 && (stem.back() == 'y' || stem.back() == 'i') &&
      !is_vowel(stem[stem.size() - 2])) {
    return stem.substr(0, stem.size() - 1);
  }
  return stem;
}

void tokenize(std::string_view text, TokenList& out) {
  out.clear();
  text = text.substr(0, max_tokenized_bytes);
  WordCollector words(out);
  for (std::size_t offset = 0; offset < text.size();) {
    const char32_t c = decode_utf8(text, offset);
    switch (classify(c)) {
      case CharClass::letter:
        words.add(fold(c));
        break;
      case CharClass::ideograph:
        words.add_ideograph(fold(c));
        break;
      case CharClass::joiner:
        break;
      case CharClass::separator:
        words.finish_word();
        break;
    }
  }
  words.finish_word();
}

}  // namespace tenantd
