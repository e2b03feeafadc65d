#include "worker/router/route_block.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "worker/router/dot.h"

namespace tenantd {

VectorSum::VectorSum(std::vector<double> sum) : size_(sum.size()) {
  auto owner = std::make_shared<const std::vector<double>>(std::move(sum));
  values_ = std::shared_ptr<const double[]>(owner, owner->data());
}

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
  std::size_t bytes = kept != nullptr ? kept->texts.byte_count() : 0;
  for (const Utterance& utterance : added) bytes += utterance.text.size();
  if (kept != nullptr) chunk->texts = kept->texts;
  chunk->texts.reserve(kept_rows + added.size(), bytes);
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

void add_to_sums(RouteBlock& block, const UtteranceChunk& chunk, std::size_t first_row,
                 std::vector<double>& sum) {
  block.utterance_count += chunk.size() - first_row;
  for (std::size_t i = first_row; i < chunk.size(); ++i) {
    if (!chunk.texts[i].empty()) ++block.text_count;
    if (chunk.encoder.empty()) continue;
    ++block.vector_count;
    const auto row = chunk.vectors.row(i);
    sum.resize(row.size());
    for (std::size_t j = 0; j < row.size(); ++j) sum[j] += static_cast<double>(row[j]);
  }
}

void find_centroid(RouteBlock& block, std::vector<double> total, std::uint32_t dimension) {
  if (block.vector_count == 0) return;
  double squares = 0;
  for (const double value : total) squares += value * value;
  block.mean_length =
      static_cast<float>(std::sqrt(squares) / static_cast<double>(block.vector_count));
  std::vector<float> sum(total.begin(), total.end());
  block.vector_sum = VectorSum(std::move(total));
  block.centroid = Matrix(1, dimension);
  block.centroid_codes = {};
  if (!normalise(sum, block.centroid.row(0))) {
    block.centroid = Matrix();
    return;
  }
  block.centroid_codes = QuantisedRows(1, dimension);
  block.centroid_codes.set(0, block.centroid.row(0));
}

void append(RouteBlock& block, std::span<const Utterance> added, std::uint32_t dimension) {
  const auto before = block.vector_sum.values();
  std::vector<double> sum(before.begin(), before.end());
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
    add_to_sums(block, *chunk, kept_rows, sum);
    if (kept != nullptr) {
      block.chunks.back() = std::move(chunk);
    } else {
      block.chunks.push_back(std::move(chunk));
    }
    added = added.subspan(run);
  }
  find_centroid(block, std::move(sum), dimension);
}

// `From`: RouteDefinition or RouteBlock.
template <class From>
void describe(RouteBlock& block, const From& from) {
  block.id = from.id;
  block.description = from.description;
  block.metadata = from.metadata;
  block.threshold = from.threshold;
  block.margin = from.margin;
  block.tags = from.tags;
  block.aggregation = from.aggregation;
  block.priority = from.priority;
  block.rules = from.rules;
}

}  // namespace

std::shared_ptr<const RouteBlock> build_route(const RouteDefinition& route,
                                              std::uint32_t dimension) {
  auto block = std::make_shared<RouteBlock>();
  describe(*block, route);
  append(*block, route.utterances, dimension);
  if (block->chunks.empty()) block->chunks.push_back(make_chunk(nullptr, {}, {}, dimension));
  block->count_memory();
  return block;
}

std::shared_ptr<const RouteBlock> append_utterances(const RouteBlock& base,
                                                    std::span<const Utterance> added,
                                                    std::uint32_t dimension) {
  auto block = std::make_shared<RouteBlock>();
  describe(*block, base);
  block->chunks = base.chunks;
  block->utterance_count = base.utterance_count;
  block->vector_count = base.vector_count;
  block->text_count = base.text_count;
  block->vector_sum = base.vector_sum;
  append(*block, added, dimension);
  block->count_memory();
  return block;
}

std::shared_ptr<const RouteBlock> restore_route(
    const RouteDefinition& route, std::vector<std::shared_ptr<const UtteranceChunk>> chunks,
    RouteCentre centre) {
  auto block = std::make_shared<RouteBlock>();
  describe(*block, route);
  block->chunks = std::move(chunks);
  std::size_t dimension = 0;
  for (const auto& chunk : block->chunks) {
    block->utterance_count += chunk->size();
    block->vector_count += chunk->vectors.rows();
    block->text_count += chunk->size() - chunk->texts.count_empty();
    dimension = std::max(dimension, chunk->vectors.dimension());
  }
  if (centre.vector_sum.size() != dimension || centre.centroid.dimension() > dimension ||
      centre.centroid.rows() != centre.centroid_codes.count()) {
    return nullptr;
  }
  static_cast<RouteCentre&>(*block) = std::move(centre);
  block->count_memory();
  return block;
}

void RouteBlock::count_memory() noexcept {
  // Beside the text: where it ends, its length, and the sum that a search keeps for it.
  constexpr std::size_t bytes_an_utterance = 24;
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
    bytes += chunk->size() * bytes_an_utterance + chunk->texts.byte_count();
  }
  bytes += vector_sum.size() * (sizeof(double) + sizeof(float) + 2);
  memory_bytes_ = bytes;
}

RouteDefinition RouteBlock::definition(bool with_vectors) const {
  RouteDefinition route{id, description, metadata, threshold, tags,
                        {}, aggregation, priority, rules,     margin};
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

std::string_view RouteBlock::text_of(std::size_t utterance) const noexcept {
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
