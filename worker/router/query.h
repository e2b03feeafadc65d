// A query as the router sees it: which words, which vector.
//
// Runs in: worker. Made from what clients sent, after validation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/encoder/tokenizer.h"
#include "worker/router/kernels/kernels.h"

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

// What `signal` rules say for a route.
struct RuleEvidence {
  std::uint32_t route;
  float score;  // in (0,1)
};

// What a query offers. Pointers are borrowed for the call.
struct QuerySignals {
  const float* vector = nullptr;     // normalised, padded and aligned as a Matrix row; null: none
  ScanQuery codes{};                 // the same vector quantised; unset without one
  std::span<const QueryWord> words;  // empty: no lexical signal
  ScanQuery coarse{};                // as codes, with one byte a float
  // A row of the set that a search through an index takes as not there; 2^32 - 1: none.
  std::uint32_t left_out_row = 0xFFFFFFFFU;
  std::span<const RuleEvidence> evidence{};  // one a route at most
  const std::uint8_t* allowed = nullptr;     // one a route: 0 if it is not there; null: all are
};

struct SignalScores {
  float dense = 0;
  float lexical = 0;
  bool has_dense = false;
  bool has_lexical = false;
};

}  // namespace tenantd
