#include "worker/router/lexical_segment.h"

#include <sys/auxv.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

constexpr double k1 = 1.2;
constexpr double b = 0.75;

// 8 of the 16 random bytes that the kernel gives every program (getauxval(3)): word hashes are
// public, so without a secret a client could choose words that all fall into one slot.
std::uint64_t slot_secret() noexcept {
  std::uint64_t secret = 0;
  const unsigned long address = ::getauxval(AT_RANDOM);
  if (address != 0) {
    std::memcpy(&secret, reinterpret_cast<const void*>(address), sizeof secret);  // NOLINT
  }
  return secret;
}

}  // namespace

float saturate_use(std::uint32_t count, std::uint32_t length, double average_length) noexcept {
  const double tf = count;
  const double relative = length / average_length;
  return static_cast<float>(tf * (k1 + 1) / (tf + k1 * (1 - b + b * relative)));
}

LexicalSegment::LexicalSegment(std::span<const Source> sources, double average_length)
    : average_length_(average_length) {
  count_words(sources);
  fill(sources);
}

std::size_t LexicalSegment::slot_of(std::uint64_t word) const noexcept {
  static const std::uint64_t secret = slot_secret();
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = mix_bits(word ^ secret) & mask;
  while (slots_[slot].use_count != 0 && slots_[slot].word != word) slot = (slot + 1) & mask;
  return slot;
}

void LexicalSegment::grow() {
  std::vector<Term> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Term& term : old) {
    if (term.use_count != 0) slots_[slot_of(term.word)] = term;
  }
}

void LexicalSegment::count_words(std::span<const Source> sources) {
  slots_.resize(64);
  for (const auto& [chunk, part] : sources) {
    for (std::size_t w = 0; w < chunk->words.size(); ++w) {
      Term* term = &slots_[slot_of(chunk->words[w])];
      if (term->use_count == 0) {
        if (++used_ * 2 > slots_.size()) {
          grow();
          term = &slots_[slot_of(chunk->words[w])];
        }
        term->word = chunk->words[w];
      }
      term->use_count += chunk->posting_starts[w + 1] - chunk->posting_starts[w];
      ++term->block_count;  // at most: chunks of one part share a block
    }
  }
}

void LexicalSegment::fill(std::span<const Source> sources) {
  std::uint32_t uses = 0;
  std::uint32_t blocks = 0;
  for (Term& term : slots_) {
    term.first_use = uses;
    term.first_block = blocks;
    uses += term.use_count;
    blocks += term.block_count;
    term.block_count = 0;
  }
  uses_.resize(uses);
  blocks_.resize(blocks);
  std::uint32_t first_utterance = 0;
  for (const auto& [chunk, part] : sources) {
    for (std::size_t w = 0; w < chunk->words.size(); ++w) {
      Term& term = slots_[slot_of(chunk->words[w])];
      WordBlock* block = nullptr;
      std::uint32_t next = term.first_use;
      if (term.block_count > 0) {
        block = &blocks_[term.first_block + term.block_count - 1];
        next = block->end_use;
      }
      if (block == nullptr || block->part != part) {
        block = &blocks_[term.first_block + term.block_count++];
        *block = {part, next, next, 0};
      }
      for (auto p = chunk->posting_starts[w]; p < chunk->posting_starts[w + 1]; ++p) {
        const ChunkPosting& posting = chunk->postings[p];
        const std::uint32_t length = chunk->lengths[posting.utterance];
        const float saturated = saturate_use(posting.count, length, average_length_);
        uses_[block->end_use++] = {first_utterance + posting.utterance, posting.count, length,
                                   saturated};
        block->largest = std::max(block->largest, saturated);
      }
    }
    first_utterance += static_cast<std::uint32_t>(chunk->size());
  }
}

std::optional<LexicalSegment> LexicalSegment::restore(const Tables& tables,
                                                      std::span<const std::uint32_t> part_starts) {
  if (!(tables.average_length > 0) || !std::isfinite(tables.average_length)) return std::nullopt;
  LexicalSegment segment;
  segment.average_length_ = tables.average_length;
  segment.uses_.assign(tables.uses.begin(), tables.uses.end());
  segment.blocks_.assign(tables.blocks.begin(), tables.blocks.end());
  segment.slots_.resize(std::bit_ceil(std::max<std::size_t>(2 * tables.terms.size(), 64)));
  for (const Term& term : tables.terms) {
    if (term.use_count > 0 && !segment.take(term, part_starts)) return std::nullopt;
  }
  return segment;
}

// False if its blocks and uses are not there, or not in their order.
bool LexicalSegment::take(const Term& term, std::span<const std::uint32_t> part_starts) {
  const auto fits = [](std::size_t first, std::size_t count, std::size_t size) {
    return first <= size && count <= size - first;
  };
  Term& slot = slots_[slot_of(term.word)];
  if (slot.use_count != 0 || term.block_count == 0 ||
      !fits(term.first_use, term.use_count, uses_.size()) ||
      !fits(term.first_block, term.block_count, blocks_.size())) {
    return false;
  }
  slot = term;
  ++used_;
  std::uint32_t at = term.first_use;
  const WordBlock* before = nullptr;
  for (const WordBlock& block : blocks(term)) {
    const bool ascends = before == nullptr || before->part < block.part;
    if (!ascends || block.part >= part_starts.size() - 1 || block.first_use != at ||
        block.end_use < at || block.end_use > uses_.size()) {
      return false;
    }
    for (; at < block.end_use; ++at) {
      const std::uint32_t utterance = uses_[at].utterance;
      if (utterance < part_starts[block.part] || utterance >= part_starts[block.part + 1]) {
        return false;
      }
    }
    before = &block;
  }
  return at == term.first_use + term.use_count;
}

const LexicalSegment::Term* LexicalSegment::find(std::uint64_t word) const noexcept {
  if (slots_.empty()) return nullptr;
  const Term& term = slots_[slot_of(word)];
  return term.use_count != 0 ? &term : nullptr;
}

std::size_t LexicalSegment::memory_bytes() const noexcept {
  return slots_.size() * sizeof(Term) + uses_.size() * sizeof(WordUse) +
         blocks_.size() * sizeof(WordBlock);
}

}  // namespace tenantd
