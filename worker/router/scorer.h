// Scores every route for one query: exact dense search, aggregated per route, and BM25.
//
// Runs in: worker; one object a thread. Owns the scratch memory: once grown to the largest route
// set it scores without allocating.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/contract/tenant_settings.h"
#include "worker/encoder/tokenizer.h"
#include "worker/router/dot.h"
#include "worker/router/matrix.h"
#include "worker/router/route_set.h"

namespace tenantd {

// A word of the query, each once.
struct QueryWord {
  std::uint64_t hash;
  std::uint32_t token;  // its first occurrence in the TokenList
  float weight;         // a function word's is low
  bool is_function_word;
};

// Replaces `out` with the distinct words among the first 1,024 of `words`.
void distinct_words(const TokenList& words, std::vector<QueryWord>& out);

// What a query offers. Pointers are borrowed for the call.
struct QuerySignals {
  const float* vector = nullptr;     // normalised, padded and aligned as a Matrix row; null: none
  std::span<const QueryWord> words;  // empty: no lexical signal
};

// An utterance that scoring must pretend is not there.
struct LeftOut {
  std::uint32_t route;
  std::uint32_t utterance;  // in the route
};

struct SignalScores {
  float dense = 0;
  float lexical = 0;
  bool has_dense = false;
  bool has_lexical = false;
};

class Scorer {
 public:
  Scorer() : dot_rows_(select_dot_rows()) {}

  // One entry a route, valid until the next call. Only signals with a weight above 0 are computed.
  std::span<const SignalScores> score(const RouteSet& set, const RouterSettings& settings,
                                      const QuerySignals& query,
                                      std::optional<LeftOut> left_out = std::nullopt);
  // Whether, in the last call with words, an utterance held a query word that is no function word.
  [[nodiscard]] bool shares_word() const noexcept { return shares_word_; }

  struct Nearest {
    std::size_t utterance = 0;  // in the route
    float similarity = 0;
  };
  // Nearest utterance of a route; nothing if it has no vectors.
  [[nodiscard]] std::optional<Nearest> nearest(const RouteBlock& route, const float* vector);

 private:
  float dense_score(const RouteBlock& route, const RouterSettings& settings, const float* vector,
                    std::optional<std::uint32_t> left_out);
  float centroid_score(const RouteBlock& route, const float* vector,
                       std::optional<std::uint32_t> left_out);
  std::span<float> similarities(const RouteBlock& route, const float* vector,
                                std::optional<std::uint32_t> left_out);
  void score_words(const RouteSet& set, std::span<const QueryWord> words,
                   std::optional<LeftOut> left_out);

  DotRows dot_rows_;
  bool shares_word_ = false;
  std::vector<SignalScores> scores_;
  std::vector<float> similarities_;
  std::vector<float> word_sums_;        // one an utterance of the set; all zero between calls
  std::vector<std::uint32_t> touched_;  // utterances with a sum
};

// BM25 is unbounded; half of the scale is reached at a score of 8.
[[nodiscard]] constexpr float saturate_bm25(float sum) noexcept { return sum / (sum + 8.0F); }

}  // namespace tenantd
