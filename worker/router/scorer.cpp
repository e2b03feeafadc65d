#include "worker/router/scorer.h"

#include <algorithm>
#include <cmath>

#include "worker/router/aggregate.h"

namespace tenantd {

SignalScores Scorer::score(const RouteSet& set, const RouterSettings& settings,
                           const QuerySignals& query, WordSearch& words, std::uint32_t route,
                           std::optional<std::uint32_t> left_out) {
  const RouteBlock& block = *set.routes[route];
  SignalScores scores;
  scores.has_dense = query.vector != nullptr && settings.dense_weight > 0 && block.vector_count > 0;
  scores.has_lexical = !query.words.empty() && settings.lexical_weight > 0 && block.text_count > 0;
  if (scores.has_dense) scores.dense = dense_score(block, settings, query.vector, left_out);
  if (scores.has_lexical) scores.lexical = words.exact(route, left_out);
  return scores;
}

float Scorer::dense_score(const RouteBlock& route, const RouterSettings& settings,
                          const float* vector, std::optional<std::uint32_t> left_out) {
  const Aggregator how =
      make_aggregator(route.aggregation.value_or(settings.aggregation), settings);
  const float largest =
      how.needs_rows() ? mean_of_largest(similarities(route, vector, left_out), how.k) : 0.0F;
  const float centroid =
      how.needs_centroid() ? centroid_score(route, how.as_mean, vector, left_out) : 0.0F;
  return how.mix(centroid, largest);
}

float Scorer::centroid_score(const RouteBlock& route, bool as_mean, const float* vector,
                             std::optional<std::uint32_t> left_out) {
  std::size_t row = left_out.value_or(0);
  std::size_t c = 0;
  while (row >= route.chunks[c]->size()) row -= route.chunks[c++]->size();
  if (!left_out || route.chunks[c]->encoder.empty()) {
    if (route.centroid.rows() == 0) return 0;
    float score = 0;
    kernels_->dot_rows(vector, route.centroid.data(), 1, route.centroid.stride(), &score);
    return score * (as_mean ? route.mean_length : 1.0F);
  }
  // The same sum without the row.
  const auto removed = route.chunks[c]->vectors.row(row);
  double product = 0;
  double squares = 0;
  for (std::size_t j = 0; j < removed.size(); ++j) {
    const double other = route.vector_sum.values()[j] - static_cast<double>(removed[j]);
    product += other * static_cast<double>(vector[j]);
    squares += other * other;
  }
  if (squares <= 1e-12) return 0;
  const double length = as_mean ? static_cast<double>(route.vector_count - 1) : std::sqrt(squares);
  return static_cast<float>(product / length);
}

std::span<float> Scorer::similarities(const RouteBlock& route, const float* vector,
                                      std::optional<std::uint32_t> left_out) {
  if (similarities_.size() < route.utterance_count) similarities_.resize(route.utterance_count);
  std::size_t filled = 0;
  std::size_t first = 0;
  for (const auto& chunk : route.chunks) {
    const Matrix& vectors = chunk->vectors;
    if (vectors.rows() != 0) {
      kernels_->dot_rows(vector, vectors.data(), vectors.rows(), vectors.stride(),
                         &similarities_[filled]);
      std::size_t added = vectors.rows();
      if (left_out && *left_out >= first && *left_out - first < added) {
        similarities_[filled + *left_out - first] = similarities_[filled + --added];
      }
      filled += added;
    }
    first += chunk->size();
  }
  return {similarities_.data(), filled};
}

std::optional<Scorer::Nearest> Scorer::nearest(const RouteBlock& route, const float* vector) {
  if (route.vector_count == 0) return std::nullopt;
  const std::span<float> values = similarities(route, vector, std::nullopt);
  const auto best =
      static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
  // Back from the count of vectors to the count of utterances.
  std::size_t vectors = 0;
  std::size_t utterances = 0;
  for (const auto& chunk : route.chunks) {
    if (chunk->vectors.rows() != 0) {
      if (best < vectors + chunk->size()) return Nearest{utterances + best - vectors, values[best]};
      vectors += chunk->size();
    }
    utterances += chunk->size();
  }
  return std::nullopt;
}

}  // namespace tenantd
