#include "worker/router/lexical_index.h"

#include <sys/auxv.h>

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

LexicalIndex::LexicalIndex(std::span<const std::shared_ptr<const RouteBlock>> routes) {
  slots_.resize(64);
  count_words(routes);
  fill_postings(routes);
}

std::size_t LexicalIndex::slot_of(std::uint64_t word) const noexcept {
  static const std::uint64_t secret = slot_secret();
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = mix_bits(word ^ secret) & mask;
  while (slots_[slot].count != 0 && slots_[slot].word != word) slot = (slot + 1) & mask;
  return slot;
}

void LexicalIndex::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.count != 0) slots_[slot_of(slot.word)] = slot;
  }
}

void LexicalIndex::count_words(std::span<const std::shared_ptr<const RouteBlock>> routes) {
  double total_length = 0;
  for (const auto& route : routes) {
    for (const auto& chunk : route->chunks) {
      for (std::size_t w = 0; w < chunk->words.size(); ++w) {
        Slot* slot = &slots_[slot_of(chunk->words[w])];
        if (slot->count == 0) {
          if (++used_ * 2 > slots_.size()) {
            grow();
            slot = &slots_[slot_of(chunk->words[w])];
          }
          slot->word = chunk->words[w];
        }
        slot->count += chunk->posting_starts[w + 1] - chunk->posting_starts[w];
      }
      for (const std::uint32_t length : chunk->lengths) {
        if (length == 0) continue;
        documents_ += 1;
        total_length += length;
      }
    }
  }
  if (documents_ > 0) average_length_ = total_length / documents_;
}

void LexicalIndex::fill_postings(std::span<const std::shared_ptr<const RouteBlock>> routes) {
  std::uint32_t total = 0;
  std::vector<std::uint32_t> next(slots_.size());
  std::vector<float> idf(slots_.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].count == 0) continue;
    slots_[i].begin = next[i] = total;
    total += slots_[i].count;
    const double n = slots_[i].count;
    idf[i] = static_cast<float>(std::log(1.0 + (documents_ - n + 0.5) / (n + 0.5)));
  }
  postings_.resize(total);
  std::uint32_t first_utterance = 0;
  for (const auto& route : routes) {
    for (const auto& chunk : route->chunks) {
      for (std::size_t w = 0; w < chunk->words.size(); ++w) {
        const std::size_t slot = slot_of(chunk->words[w]);
        for (auto p = chunk->posting_starts[w]; p < chunk->posting_starts[w + 1]; ++p) {
          const ChunkPosting& use = chunk->postings[p];
          const double tf = use.count;
          const double length = chunk->lengths[use.utterance] / average_length_;
          const double saturated = tf * (k1 + 1) / (tf + k1 * (1 - b + b * length));
          postings_[next[slot]++] = {first_utterance + use.utterance,
                                     idf[slot] * static_cast<float>(saturated)};
        }
      }
      first_utterance += static_cast<std::uint32_t>(chunk->size());
    }
  }
}

std::span<const Posting> LexicalIndex::find(std::uint64_t word) const noexcept {
  if (slots_.empty()) return {};
  const Slot& slot = slots_[slot_of(word)];
  return std::span(postings_).subspan(slot.begin, slot.count);
}

}  // namespace tenantd
