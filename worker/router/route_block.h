// A route as the router holds it: immutable, shared between snapshots, in chunks of utterances.
//
// Runs in: worker; built by the editor thread, read by the loop thread. Built from validated
// definitions only. An edit copies at most one chunk of the route that it touches.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "worker/encoder/tokenizer.h"
#include "worker/router/kernels/quantise.h"
#include "worker/router/matrix.h"
#include "worker/router/text_list.h"
#include "worker/router/types.h"

namespace tenantd {

inline constexpr std::size_t max_chunk_rows = 1024;

// A word's uses in one chunk.
struct ChunkPosting {
  std::uint32_t utterance;  // index in the chunk
  std::uint32_t count;
};

// Up to max_chunk_rows utterances that all have a vector of one encoder, or all have none.
struct UtteranceChunk {
  TextList texts;       // one an utterance; empty: vector only
  std::string encoder;  // empty: no vectors
  Matrix vectors;       // row i belongs to texts[i]; L2-normalised
  // Inverted: words[w] has postings[posting_starts[w]] .. postings[posting_starts[w + 1]).
  std::vector<std::uint64_t> words;  // hashes, ascending
  std::vector<std::uint32_t> posting_starts;
  std::vector<ChunkPosting> postings;
  std::vector<std::uint32_t> lengths;  // words an utterance

  [[nodiscard]] std::size_t size() const noexcept { return texts.size(); }
};

// Of vectors, element by element; where it lies it does not change.
class VectorSum {
 public:
  VectorSum() = default;
  explicit VectorSum(std::vector<double> sum);
  // `values` keeps them alive.
  VectorSum(std::shared_ptr<const double[]> values, std::size_t size) noexcept
      : values_(std::move(values)), size_(size) {}
  [[nodiscard]] std::span<const double> values() const noexcept { return {values_.get(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::shared_ptr<const double[]> values_;
  std::size_t size_ = 0;
};

// What a route's vectors have in common.
struct RouteCentre {
  VectorSum vector_sum;          // of all normalised vectors, in order; empty without vectors
  Matrix centroid;               // one row, normalised; none if the vectors cancel out
  QuantisedRows centroid_codes;  // likewise
  float mean_length = 0;         // of vector_sum / vector_count: the mean is that of centroid
};

struct RouteBlock : RouteCentre {
  std::string id;
  std::string description;
  std::string metadata;
  std::optional<float> threshold;
  std::optional<float> margin;
  std::vector<std::string> tags;
  std::optional<Aggregation> aggregation;
  std::int32_t priority = 0;
  std::vector<Rule> rules;
  std::vector<std::shared_ptr<const UtteranceChunk>> chunks;  // at least one
  std::size_t utterance_count = 0;
  std::size_t vector_count = 0;
  std::size_t text_count = 0;

  // What the route takes in memory with its part of the indexes, about: bytes of values, not of the
  // allocator's own.
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return memory_bytes_; }
  void count_memory() noexcept;

  // Everything that the route was made of; vectors come back normalised. `with_vectors` false
  // leaves embeddings empty and names their encoder only.
  [[nodiscard]] RouteDefinition definition(bool with_vectors) const;
  [[nodiscard]] std::string_view text_of(std::size_t utterance) const noexcept;
  // Row `row` of the utterances that have a vector.
  [[nodiscard]] const float* vector_of(std::size_t row) const noexcept;

 private:
  std::size_t memory_bytes_ = 0;
};

// `route` is valid and each of its embeddings has `dimension` floats or none.
[[nodiscard]] std::shared_ptr<const RouteBlock> build_route(const RouteDefinition& route,
                                                            std::uint32_t dimension);
// A route whose parts exist already; `route` without utterances. Null if they do not belong
// together.
[[nodiscard]] std::shared_ptr<const RouteBlock> restore_route(
    const RouteDefinition& route, std::vector<std::shared_ptr<const UtteranceChunk>> chunks,
    RouteCentre centre);
// A copy of `base` with `added` behind its utterances; full chunks are shared.
[[nodiscard]] std::shared_ptr<const RouteBlock> append_utterances(const RouteBlock& base,
                                                                  std::span<const Utterance> added,
                                                                  std::uint32_t dimension);

}  // namespace tenantd
