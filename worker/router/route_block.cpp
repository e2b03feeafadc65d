#include "worker/router/route_block.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "worker/router/dot.h"

namespace tenantd {
namespace {

struct WordUse {
  std::uint64_t hash;
  std::uint32_t utterance;
};

void index_words(UtteranceChunk& chunk) {
  TokenList words;
  std::vector<WordUse> uses;
  chunk.lengths.reserve(chunk.size());
  for (std::uint32_t i = 0; i < chunk.size(); ++i) {
    tokenize(chunk.texts[i], words);
    chunk.lengths.push_back(static_cast<std::uint32_t>(words.tokens.size()));
    for (const Token& token : words.tokens) uses.push_back({token.hash, i});
  }
  std::sort(uses.begin(), uses.end(), [](const WordUse& a, const WordUse& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.utterance < b.utterance;
  });
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const bool new_word = i == 0 || uses[i].hash != uses[i - 1].hash;
    if (new_word) {
      chunk.words.push_back(uses[i].hash);
      chunk.posting_starts.push_back(static_cast<std::uint32_t>(chunk.postings.size()));
    }
    if (new_word || uses[i].utterance != chunk.postings.back().utterance) {
      chunk.postings.push_back({uses[i].utterance, 0});
    }
    ++chunk.postings.back().count;
  }
  chunk.posting_starts.push_back(static_cast<std::uint32_t>(chunk.postings.size()));
}

// One more chunk from `kept` (may be null) and then `added`, which all carry `encoder`.
std::shared_ptr<const UtteranceChunk> make_chunk(const UtteranceChunk* kept,
                                                 std::span<const Utterance> added,
                                                 const std::string& encoder,
                                                 std::uint32_t dimension) {
  auto chunk = std::make_shared<UtteranceChunk>();
  const std::size_t kept_rows = kept != nullptr ? kept->size() : 0;
  chunk->encoder = encoder;
  chunk->texts.reserve(kept_rows + added.size());
  if (kept != nullptr) chunk->texts = kept->texts;
  for (const Utterance& utterance : added) chunk->texts.push_back(utterance.text);
  if (!encoder.empty()) {
    chunk->vectors = Matrix(chunk->size(), dimension);
    for (std::size_t i = 0; i < kept_rows; ++i) {
      std::ranges::copy(kept->vectors.row(i), chunk->vectors.row(i).begin());
    }
    for (std::size_t i = 0; i < added.size(); ++i) {
      const bool normalised = normalise(added[i].embedding, chunk->vectors.row(kept_rows + i));
      assert(normalised);
      (void)normalised;
    }
  }
  index_words(*chunk);
  return chunk;
}

void add_to_sums(RouteBlock& block, const UtteranceChunk& chunk, std::size_t first_row) {
  block.utterance_count += chunk.size() - first_row;
  for (std::size_t i = first_row; i < chunk.size(); ++i) {
    if (!chunk.texts[i].empty()) ++block.text_count;
    if (chunk.encoder.empty()) continue;
    ++block.vector_count;
    const auto row = chunk.vectors.row(i);
    block.vector_sum.resize(row.size());
    for (std::size_t j = 0; j < row.size(); ++j) {
      block.vector_sum[j] += static_cast<double>(row[j]);
    }
  }
}

void append(RouteBlock& block, std::span<const Utterance> added, std::uint32_t dimension) {
  while (!added.empty()) {
    // An utterance without a vector belongs to no encoder, whatever it says.
    const auto encoder_of = [](const Utterance& utterance) {
      return utterance.embedding.empty() ? std::string() : utterance.encoder;
    };
    const std::string encoder = encoder_of(added.front());
    const UtteranceChunk* kept = nullptr;
    if (!block.chunks.empty() && block.chunks.back()->encoder == encoder &&
        block.chunks.back()->size() < max_chunk_rows) {
      kept = block.chunks.back().get();
    }
    const std::size_t kept_rows = kept != nullptr ? kept->size() : 0;
    std::size_t run = 1;
    while (run < added.size() && kept_rows + run < max_chunk_rows &&
           encoder_of(added[run]) == encoder) {
      ++run;
    }
    auto chunk = make_chunk(kept, added.first(run), encoder, dimension);
    add_to_sums(block, *chunk, kept_rows);
    if (kept != nullptr) {
      block.chunks.back() = std::move(chunk);
    } else {
      block.chunks.push_back(std::move(chunk));
    }
    added = added.subspan(run);
  }
  if (block.vector_count == 0) return;
  double squares = 0;
  for (const double value : block.vector_sum) squares += value * value;
  block.mean_length =
      static_cast<float>(std::sqrt(squares) / static_cast<double>(block.vector_count));
  std::vector<float> sum(block.vector_sum.begin(), block.vector_sum.end());
  block.centroid = Matrix(1, dimension);
  block.centroid_codes = {};
  if (!normalise(sum, block.centroid.row(0))) {
    block.centroid = Matrix();
    return;
  }
  block.centroid_codes = QuantisedRows(1, dimension);
  block.centroid_codes.set(0, block.centroid.row(0));
}

}  // namespace

std::shared_ptr<const RouteBlock> build_route(const RouteDefinition& route,
                                              std::uint32_t dimension) {
  auto block = std::make_shared<RouteBlock>();
  block->id = route.id;
  block->description = route.description;
  block->metadata = route.metadata;
  block->threshold = route.threshold;
  block->tags = route.tags;
  block->aggregation = route.aggregation;
  block->priority = route.priority;
  block->rules = route.rules;
  append(*block, route.utterances, dimension);
  if (block->chunks.empty()) block->chunks.push_back(make_chunk(nullptr, {}, {}, dimension));
  block->count_memory();
  return block;
}

std::shared_ptr<const RouteBlock> append_utterances(const RouteBlock& base,
                                                    std::span<const Utterance> added,
                                                    std::uint32_t dimension) {
  auto block = std::make_shared<RouteBlock>();
  block->id = base.id;
  block->description = base.description;
  block->metadata = base.metadata;
  block->threshold = base.threshold;
  block->tags = base.tags;
  block->aggregation = base.aggregation;
  block->priority = base.priority;
  block->rules = base.rules;
  block->chunks = base.chunks;
  block->utterance_count = base.utterance_count;
  block->vector_count = base.vector_count;
  block->text_count = base.text_count;
  block->vector_sum = base.vector_sum;
  append(*block, added, dimension);
  block->count_memory();
  return block;
}

void RouteBlock::count_memory() noexcept {
  // Beside the text: the string, its length, and the sum that a search keeps for it.
  constexpr std::size_t bytes_an_utterance = sizeof(std::string) + 16;
  // In the chunk, and in the segment once more with what a search needs at hand.
  constexpr std::size_t bytes_a_word = 2 * (sizeof(std::uint64_t) + sizeof(std::uint32_t)) + 32;
  constexpr std::size_t bytes_a_use = sizeof(ChunkPosting) + 16;
  std::size_t bytes = sizeof *this + id.size() + description.size() + metadata.size();
  for (const std::string& tag : tags) bytes += sizeof tag + tag.size();
  for (const auto& chunk : chunks) {
    const std::size_t code_bytes =
        chunk->vectors.rows() > 0 ? padded_codes(chunk->vectors.dimension()) + 16 : 0;
    bytes += sizeof *chunk + chunk->encoder.size();
    bytes += chunk->vectors.rows() * (chunk->vectors.stride() * sizeof(float) + code_bytes);
    bytes += chunk->words.size() * bytes_a_word + chunk->postings.size() * bytes_a_use;
    for (const std::string& text : chunk->texts) bytes += bytes_an_utterance + text.size();
  }
  bytes += vector_sum.size() * (sizeof(double) + sizeof(float) + 2);
  memory_bytes_ = bytes;
}

RouteDefinition RouteBlock::definition(bool with_vectors) const {
  RouteDefinition route{id, description, metadata, threshold, tags,
                        {}, aggregation, priority, rules};
  route.utterances.reserve(utterance_count);
  for (const auto& chunk : chunks) {
    for (std::size_t i = 0; i < chunk->size(); ++i) {
      Utterance& utterance = route.utterances.emplace_back();
      utterance.text = chunk->texts[i];
      utterance.encoder = chunk->encoder;
      if (!with_vectors || chunk->encoder.empty()) continue;
      const auto row = chunk->vectors.row(i);
      utterance.embedding.assign(row.begin(), row.end());
    }
  }
  return route;
}

const std::string& RouteBlock::text_of(std::size_t utterance) const {
  std::size_t index = 0;
  while (utterance >= chunks[index]->size()) utterance -= chunks[index++]->size();
  return chunks[index]->texts[utterance];
}

const float* RouteBlock::vector_of(std::size_t row) const noexcept {
  std::size_t index = 0;
  while (row >= chunks[index]->vectors.rows()) row -= chunks[index++]->vectors.rows();
  return chunks[index]->vectors.row(row).data();
}

}  // namespace tenantd
