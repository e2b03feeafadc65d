// BM25 of all routes for one query: first bounds from the heaviest use of each word in a route,
// then, where it is asked for, the exact score.
//
// Runs in: worker; one object a thread. Owns the scratch memory: once grown to the largest route
// set it works without allocating. A route's score is that of its best utterance.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "worker/router/query.h"
#include "worker/router/route_set.h"

namespace tenantd {

class WordSearch {
 public:
  // `set` and `words` are borrowed until the next call. Without `with_bounds` only shares_word() is
  // found.
  void look_up(const RouteSet& set, std::span<const QueryWord> words, bool with_bounds);

  // Whether an utterance holds a query word that is no function word.
  [[nodiscard]] bool shares_word() const noexcept { return shares_word_; }
  // Not below the exact score.
  [[nodiscard]] float bound(std::uint32_t route) const noexcept;
  // saturate_bm25() of the largest Σ impact · weight of an utterance of the route, words in their
  // order. `left_out`: an utterance of the route that is treated as if it held no word.
  [[nodiscard]] float exact(std::uint32_t route,
                            std::optional<std::uint32_t> left_out = std::nullopt);
  // What word number `word` adds in the utterance of the route where it adds most; 0 for nothing.
  [[nodiscard]] float heaviest(std::size_t word, std::uint32_t route) const;

 private:
  [[nodiscard]] const LexicalSegment::Term* term_of(std::size_t word,
                                                    std::size_t segment) const noexcept {
    return terms_[segment * words_.size() + word];
  }
  [[nodiscard]] float weight_of(std::size_t word, const LexicalSegment& lexical,
                                const WordUse& use) const noexcept {
    return idf_[word] * set_->saturated(lexical, use) * words_[word].weight;
  }
  [[nodiscard]] std::span<const WordUse> uses_in(std::size_t word, std::uint32_t part) const;
  void add_bounds();

  const RouteSet* set_ = nullptr;
  std::span<const QueryWord> words_;
  bool shares_word_ = false;
  float rounding_ = 1;                              // what sums of so many floats may have lost
  std::vector<const LexicalSegment::Term*> terms_;  // segments × words; null: not there
  std::vector<float> idf_;                          // one a word
  std::vector<float> part_bounds_;
  std::vector<float> sums_;
};

}  // namespace tenantd
