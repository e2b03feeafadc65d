// BM25 over the utterances of all routes: an inverted index with fitted idf.
//
// Runs in: worker; built by the editor thread, then immutable. Robertson and Zaragoza 2009, "The
// Probabilistic Relevance Framework: BM25 and Beyond"; k1 = 1.2, b = 0.75, idf = ln(1 +
// (N-n+½)/(n+½)). Equal routes give an equal index, whatever edits led to them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/router/route_block.h"

namespace tenantd {

struct Posting {
  std::uint32_t utterance;  // counted through all routes in order
  float impact;             // what the word adds to the utterance's score
};

class LexicalIndex {
 public:
  LexicalIndex() = default;
  // Utterances are numbered in the order of `routes`, their chunks and rows. Linear in their words.
  explicit LexicalIndex(std::span<const std::shared_ptr<const RouteBlock>> routes);

  // Empty for a word that no utterance holds.
  [[nodiscard]] std::span<const Posting> find(std::uint64_t word) const noexcept;

 private:
  struct Slot {
    std::uint64_t word = 0;
    std::uint32_t begin = 0;  // into postings_
    std::uint32_t count = 0;  // 0: the slot is free
  };
  [[nodiscard]] std::size_t slot_of(std::uint64_t word) const noexcept;
  void grow();
  void count_words(std::span<const std::shared_ptr<const RouteBlock>> routes);
  void fill_postings(std::span<const std::shared_ptr<const RouteBlock>> routes);

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t used_ = 0;
  std::vector<Posting> postings_;
  double documents_ = 0;       // utterances with words
  double average_length_ = 1;  // words
};

}  // namespace tenantd
