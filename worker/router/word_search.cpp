#include "worker/router/word_search.h"

#include <algorithm>

#include "worker/router/aggregate.h"

namespace tenantd {

void WordSearch::look_up(const RouteSet& set, std::span<const QueryWord> words, bool with_bounds) {
  set_ = &set;
  words_ = words;
  shares_word_ = false;
  rounding_ = 1.0F + 1e-6F * static_cast<float>(words.size() + 8);
  const std::size_t segments = set.segments.size();
  terms_.resize(words.size() * segments);
  idf_.resize(words.size());
  for (std::size_t w = 0; w < words.size(); ++w) {
    std::uint64_t uses = 0;
    for (std::size_t s = 0; s < segments; ++s) {
      const auto* const term = set.segments[s].segment->lexical.find(words[w].hash);
      terms_[s * words.size() + w] = term;
      if (term != nullptr) uses += term->use_count;
    }
    if (uses > 0 && !words[w].is_function_word) shares_word_ = true;
    idf_[w] = uses > 0 ? set.idf(uses) : 0.0F;
  }
  if (with_bounds) add_bounds();
}

void WordSearch::add_bounds() {
  part_bounds_.assign(set_->parts.size(), 0.0F);
  for (std::size_t s = 0; s < set_->segments.size(); ++s) {
    const PlacedSegment& placed = set_->segments[s];
    const LexicalSegment& lexical = placed.segment->lexical;
    // A use counts for more where utterances are longer on average, by their ratio at most.
    const double drift = std::max(set_->average_length / lexical.average_length(), 1.0);
    for (std::size_t w = 0; w < words_.size(); ++w) {
      const auto* const term = term_of(w, s);
      if (term == nullptr) continue;
      const float factor = idf_[w] * words_[w].weight * static_cast<float>(drift);
      float* const bounds = part_bounds_.data() + placed.first_part;
      for (const WordBlock& block : lexical.blocks(*term)) {
        bounds[block.part] += factor * block.largest;
      }
    }
  }
}

float WordSearch::bound(std::uint32_t route) const noexcept {
  float most = 0;
  for (auto part = set_->first_part[route]; part < set_->first_part[route + 1]; ++part) {
    most = std::max(most, part_bounds_[part]);
  }
  return saturate_bm25(most * rounding_) * rounding_;
}

std::span<const WordUse> WordSearch::uses_in(std::size_t word, std::uint32_t part) const {
  const std::uint32_t segment = set_->parts[part].segment;
  const PlacedSegment& placed = set_->segments[segment];
  const auto* const term = term_of(word, segment);
  if (term == nullptr) return {};
  return placed.segment->lexical.uses_in(*term, part - placed.first_part);
}

float WordSearch::exact(std::uint32_t route, std::optional<std::uint32_t> left_out) {
  float best = 0;            // a sum
  std::uint32_t before = 0;  // utterances of the route in earlier parts
  for (auto part = set_->first_part[route]; part < set_->first_part[route + 1]; ++part) {
    const PlacedPart& placed = set_->parts[part];
    const PlacedSegment& home = set_->segments[placed.segment];
    const Segment& segment = *home.segment;
    const std::uint32_t p = part - home.first_part;
    const std::uint32_t first = segment.parts[p].first_utterance;
    const std::uint32_t end = p + 1 < segment.parts.size() ? segment.parts[p + 1].first_utterance
                                                           : segment.utterance_count;
    sums_.assign(end - first, 0.0F);
    for (std::size_t w = 0; w < words_.size(); ++w) {
      const auto* const term = term_of(w, placed.segment);
      if (term == nullptr) continue;
      for (const WordUse& use : segment.lexical.uses_in(*term, p)) {
        sums_[use.utterance - first] += weight_of(w, segment.lexical, use);
      }
    }
    if (left_out && *left_out >= before && *left_out - before < sums_.size()) {
      sums_[*left_out - before] = 0;
    }
    before += end - first;
    for (const float sum : sums_) best = std::max(best, sum);
  }
  return saturate_bm25(best);
}

float WordSearch::heaviest(std::size_t word, std::uint32_t route) const {
  float most = 0;
  for (auto part = set_->first_part[route]; part < set_->first_part[route + 1]; ++part) {
    const PlacedPart& placed = set_->parts[part];
    const LexicalSegment& lexical = set_->segments[placed.segment].segment->lexical;
    for (const WordUse& use : uses_in(word, part)) {
      most = std::max(most, weight_of(word, lexical, use));
    }
  }
  return most;
}

}  // namespace tenantd
