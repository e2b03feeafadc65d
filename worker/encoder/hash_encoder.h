// The built-in encoder "hash": text to a vector without a model, the embedded default of a tenant.
//
// Runs in: worker, on text that clients wrote. Signed feature hashing (Weinberger et al. 2009,
// "Feature Hashing for Large Scale Multitask Learning") of words, word bigrams and character 3- to
// 5-grams. The same text gives the same bits on every machine: integers, IEEE sums in a fixed
// order, and sqrt only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "worker/encoder/encoder.h"
#include "worker/encoder/tokenizer.h"

namespace tenantd {

class HashEncoder final : public EncoderSession {
 public:
  // Stored with every vector. Changes whenever the same text would give another vector.
  static constexpr std::string_view vector_id = "hash-v1";
  // How a tenant's file names it.
  static constexpr std::string_view config_name = "hash";

  // `dimension`: floats of a vector, 1..8192.
  explicit HashEncoder(std::uint32_t dimension) noexcept : dimension_(dimension) {}

  [[nodiscard]] std::string_view id() const noexcept { return vector_id; }
  [[nodiscard]] std::uint32_t dimension() const noexcept { return dimension_; }

  // Writes `dimension()` floats of Euclidean length 1. Not blocking; allocates only until its
  // scratch has grown to the longest text seen. Errors, `out` untouched: invalid_argument (no word
  // in the text, or longer than max_tokenized_bytes), wrong_dimension (out.size() is not the
  // dimension).
  [[nodiscard]] Status encode(std::string_view text, std::span<float> out);
  [[nodiscard]] Status encode(const EncoderText& text, std::span<float> out) override;
  // The same from words already cut, for callers that need them anyway.
  [[nodiscard]] Status encode(const TokenList& words, std::span<float> out);

 private:
  struct Counted {
    std::uint64_t hash;
    std::uint32_t token;  // index of the first occurrence
    std::uint32_t count;
  };
  void count_features(const TokenList& words);
  void add_feature(std::uint64_t hash, double weight) noexcept;
  void add_character_ngrams(std::string_view word, double weight);

  std::uint32_t dimension_;
  TokenList words_;
  std::vector<Counted> word_counts_;
  std::vector<Counted> bigram_counts_;
  std::vector<double> sums_;
  std::vector<std::uint32_t> starts_;
};

// The same behind the seam.
[[nodiscard]] EncoderPtr make_hash_encoder(std::uint32_t dimension);

}  // namespace tenantd
