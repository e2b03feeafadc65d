// BM25 over a run of utterances: an inverted index that knows the run's words only.
//
// Runs in: worker; built by the editor thread, then immutable. Robertson and Zaragoza 2009, "The
// Probabilistic Relevance Framework: BM25 and Beyond"; k1 = 1.2, b = 0.75, idf = ln(1 +
// (N-n+½)/(n+½)). How often a word is used at all, and how long utterances are on average, is known
// only to whoever holds all segments (RouteSet): a use keeps what does not depend on that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "worker/router/route_block.h"

namespace tenantd {

// How a use of a word counts: tf·(k1+1) / (tf + k1·(1 - b + b·length/average_length)).
[[nodiscard]] float saturate_use(std::uint32_t count, std::uint32_t length,
                                 double average_length) noexcept;

struct WordUse {
  std::uint32_t utterance;  // in the segment
  std::uint32_t count;
  std::uint32_t length;  // words of the utterance
  float saturated;       // saturate_use() at the segment's average_length
};

// The uses of a word in one part of the segment: what a first look needs.
struct WordBlock {
  std::uint32_t part;
  std::uint32_t first_use;
  std::uint32_t end_use;
  float largest;  // `saturated` of its uses
};

class LexicalSegment {
 public:
  struct Term {
    std::uint64_t word = 0;
    std::uint32_t first_use = 0;
    std::uint32_t use_count = 0;  // 0: the slot is free
    std::uint32_t first_block = 0;
    std::uint32_t block_count = 0;
  };
  // A chunk and the part that it belongs to; parts ascend.
  struct Source {
    const UtteranceChunk* chunk;
    std::uint32_t part;
  };

  // What a segment is made of, as a file can hold it.
  struct Tables {
    std::span<const Term> terms;  // in any order; without uses: none
    std::span<const WordUse> uses;
    std::span<const WordBlock> blocks;
    double average_length = 1;
  };

  LexicalSegment() = default;
  // `average_length`: words an utterance, about; exact where it equals the set's.
  LexicalSegment(std::span<const Source> sources, double average_length);

  // From tables(), which are copied, of a segment whose part p has the utterances part_starts[p] ..
  // part_starts[p + 1). Nothing if they are not what such a segment can have.
  [[nodiscard]] static std::optional<LexicalSegment> restore(
      const Tables& tables, std::span<const std::uint32_t> part_starts);
  [[nodiscard]] Tables tables() const noexcept { return {slots_, uses_, blocks_, average_length_}; }

  // Null for a word that no utterance holds.
  [[nodiscard]] const Term* find(std::uint64_t word) const noexcept;
  // Ascending by utterance.
  [[nodiscard]] std::span<const WordUse> uses(const Term& term) const noexcept {
    return std::span(uses_).subspan(term.first_use, term.use_count);
  }
  // Of one part.
  [[nodiscard]] std::span<const WordUse> uses_in(const Term& term,
                                                 std::uint32_t part) const noexcept {
    const WordBlock* const blocks = blocks_.data() + term.first_block;
    // A common word is in nearly every part: its block is at the part's number or before.
    std::uint32_t end = std::min(part + 1, term.block_count);
    std::uint32_t at = end - 1;
    if (blocks[at].part != part) {
      std::uint32_t begin = 0;
      while (begin < end) {
        at = (begin + end) / 2;
        if (blocks[at].part < part) {
          begin = at + 1;
        } else {
          end = at;
        }
      }
      at = begin;
      if (at >= term.block_count || blocks[at].part != part) return {};
    }
    return std::span(uses_).subspan(blocks[at].first_use,
                                    blocks[at].end_use - blocks[at].first_use);
  }
  // Ascending by part.
  [[nodiscard]] std::span<const WordBlock> blocks(const Term& term) const noexcept {
    return std::span(blocks_).subspan(term.first_block, term.block_count);
  }
  [[nodiscard]] double average_length() const noexcept { return average_length_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  [[nodiscard]] std::size_t slot_of(std::uint64_t word) const noexcept;
  void grow();
  void count_words(std::span<const Source> sources);
  void fill(std::span<const Source> sources);
  [[nodiscard]] bool take(const Term& term, std::span<const std::uint32_t> part_starts);

  std::vector<Term> slots_;  // a power of two, at most half full
  std::size_t used_ = 0;
  std::vector<WordUse> uses_;
  std::vector<WordBlock> blocks_;
  double average_length_ = 1;
};

}  // namespace tenantd
