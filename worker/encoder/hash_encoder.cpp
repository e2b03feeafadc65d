#include "worker/encoder/hash_encoder.h"

#include <algorithm>
#include <cmath>

#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

// Seeds keep a word, a bigram and an n-gram of the same letters apart.
constexpr std::uint64_t word_seed = 0x776f7264ULL;
constexpr std::uint64_t bigram_seed = 0x62696772616dULL;
constexpr std::uint64_t ngram_seed = 0x6e6772616dULL;

// A word counts most, its letters make it tolerant of spelling, its neighbour adds order. A
// function word is kept faintly, so that "to" and "from" still differ.
constexpr double bigram_weight = 0.5;
constexpr double ngram_weight = 0.25;
constexpr double function_word_weight = 0.25;

constexpr std::size_t shortest_ngram = 3;
constexpr std::size_t longest_ngram = 5;

// Sublinear term frequency; sqrt, as IEEE 754 fixes its every bit, unlike log's.
double damped(std::uint32_t count) noexcept { return std::sqrt(static_cast<double>(count)); }

class BuiltInEncoder final : public Encoder {
 public:
  explicit BuiltInEncoder(std::uint32_t dimension) noexcept : dimension_(dimension) {}
  std::string_view id() const noexcept override { return HashEncoder::vector_id; }
  std::uint32_t dimension() const noexcept override { return dimension_; }
  bool knows_meaning() const noexcept override { return false; }
  std::unique_ptr<EncoderSession> open_session() const override {
    return std::make_unique<HashEncoder>(dimension_);
  }

 private:
  std::uint32_t dimension_;
};

}  // namespace

void HashEncoder::count_features(const TokenList& words) {
  word_counts_.clear();
  bigram_counts_.clear();
  const auto& tokens = words.tokens;
  for (std::uint32_t i = 0; i < tokens.size(); ++i) {
    word_counts_.push_back({tokens[i].hash, i, 1});
    if (i == 0) continue;
    bigram_counts_.push_back({mix_bits(tokens[i - 1].hash * 3 + tokens[i].hash), i, 1});
  }
  for (auto* counts : {&word_counts_, &bigram_counts_}) {
    std::sort(counts->begin(), counts->end(), [](const Counted& a, const Counted& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.token < b.token;
    });
    auto kept = counts->begin();
    for (auto it = counts->begin(); it != counts->end(); ++it) {
      if (it == counts->begin()) continue;
      if (it->hash == kept->hash) {
        ++kept->count;
      } else {
        *++kept = *it;
      }
    }
    if (!counts->empty()) counts->erase(kept + 1, counts->end());
  }
}

void HashEncoder::add_feature(std::uint64_t hash, double weight) noexcept {
  // High bits choose the slot (a multiplication instead of a modulo, Lemire 2016), the lowest the
  // sign.
  const auto slot = static_cast<std::size_t>(((hash >> 32U) * dimension_) >> 32U);
  sums_[slot] += (hash & 1U) != 0 ? weight : -weight;
}

void HashEncoder::add_character_ngrams(std::string_view word, double weight) {
  starts_.clear();
  for (std::uint32_t i = 0; i < word.size(); ++i) {
    if ((static_cast<unsigned char>(word[i]) & 0xC0U) != 0x80U) starts_.push_back(i);
  }
  starts_.push_back(static_cast<std::uint32_t>(word.size()));
  const std::size_t letters = starts_.size() - 1;
  for (std::size_t n = shortest_ngram; n <= longest_ngram && n <= letters; ++n) {
    // Together the n-grams of one length weigh as much whatever the word's length.
    const double each = weight / std::sqrt(static_cast<double>(letters - n + 1));
    for (std::size_t i = 0; i + n <= letters; ++i) {
      const auto gram = word.substr(starts_[i], starts_[i + n] - starts_[i]);
      add_feature(hash_text(gram, ngram_seed + n), each);
    }
  }
}

Status HashEncoder::encode(const EncoderText& text, std::span<float> out) {
  return text.words != nullptr ? encode(*text.words, out) : encode(text.text, out);
}

Status HashEncoder::encode(std::string_view text, std::span<float> out) {
  if (text.size() > max_tokenized_bytes) {
    return fail(ErrorCode::invalid_argument, "the text is longer than 65536 bytes");
  }
  tokenize(text, words_);
  return encode(words_, out);
}

Status HashEncoder::encode(const TokenList& words, std::span<float> out) {
  if (out.size() != dimension_) {
    return fail(ErrorCode::wrong_dimension,
                "the encoder makes vectors of " + std::to_string(dimension_) + " floats");
  }
  if (words.tokens.empty()) {
    return fail(ErrorCode::invalid_argument, "the text holds no word that could be encoded");
  }
  count_features(words);
  sums_.assign(dimension_, 0.0);
  for (const Counted& counted : word_counts_) {
    const Token& token = words.tokens[counted.token];
    const double weight =
        damped(counted.count) * (token.is_function_word ? function_word_weight : 1.0);
    add_feature(mix_bits(token.hash ^ word_seed), weight);
    if (!token.is_function_word) add_character_ngrams(words.view(token), weight * ngram_weight);
  }
  for (const Counted& counted : bigram_counts_) {
    const Token& second = words.tokens[counted.token];
    const Token& first = words.tokens[counted.token - 1];
    const bool faint = first.is_function_word && second.is_function_word;
    add_feature(mix_bits(counted.hash ^ bigram_seed),
                damped(counted.count) * bigram_weight * (faint ? function_word_weight : 1.0));
  }
  double squares = 0;
  for (const double sum : sums_) squares += sum * sum;
  if (squares <= 0) {  // features of opposite sign met in few slots
    return fail(ErrorCode::invalid_argument, "the text cannot be encoded in so few dimensions");
  }
  const double scale = 1.0 / std::sqrt(squares);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(sums_[i] * scale);
  return {};
}

EncoderPtr make_hash_encoder(std::uint32_t dimension) {
  return std::make_shared<BuiltInEncoder>(dimension);
}

}  // namespace tenantd
