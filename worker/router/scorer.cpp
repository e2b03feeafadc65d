#include "worker/router/scorer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace tenantd {
namespace {

constexpr std::size_t max_query_words = 1024;
constexpr float function_word_weight = 0.5F;

float top_k_mean(std::span<float> values, std::size_t k) noexcept {
  k = std::min(k, values.size());
  if (k == 0) return 0;
  float sum = 0;
  if (k > 8) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(k - 1),
                     values.end(), std::greater<>());
    for (std::size_t i = 0; i < k; ++i) sum += values[i];
    return sum / static_cast<float>(k);
  }
  std::array<float, 8> best{};
  std::size_t held = 0;
  for (const float value : values) {
    if (held == k && value <= best[k - 1]) continue;
    std::size_t i = held < k ? held++ : k - 1;
    for (; i > 0 && best[i - 1] < value; --i) best[i] = best[i - 1];
    best[i] = value;
  }
  for (std::size_t i = 0; i < k; ++i) sum += best[i];
  return sum / static_cast<float>(k);
}

float mean(std::span<const float> values) noexcept {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value);
  return values.empty() ? 0.0F : static_cast<float>(sum / static_cast<double>(values.size()));
}

}  // namespace

void distinct_words(const TokenList& words, std::vector<QueryWord>& out) {
  out.clear();
  const std::size_t count = std::min(words.tokens.size(), max_query_words);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Token& token = words.tokens[i];
    out.push_back({token.hash, i, token.is_function_word ? function_word_weight : 1.0F,
                   token.is_function_word});
  }
  std::sort(out.begin(), out.end(), [](const QueryWord& a, const QueryWord& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.token < b.token;
  });
  const auto same = [](const QueryWord& a, const QueryWord& b) { return a.hash == b.hash; };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
}

std::span<const SignalScores> Scorer::score(const RouteSet& set, const RouterSettings& settings,
                                            const QuerySignals& query,
                                            std::optional<LeftOut> left_out) {
  scores_.assign(set.routes.size(), SignalScores{});
  shares_word_ = false;
  const bool dense = query.vector != nullptr && settings.dense_weight > 0;
  const bool lexical = !query.words.empty() && settings.lexical_weight > 0;
  for (std::size_t r = 0; r < set.routes.size(); ++r) {
    const RouteBlock& route = *set.routes[r];
    SignalScores& score = scores_[r];
    score.has_lexical = lexical && route.text_count > 0;
    score.has_dense = dense && route.vector_count > 0;
    if (!score.has_dense) continue;
    std::optional<std::uint32_t> skip;
    if (left_out && left_out->route == r) skip = left_out->utterance;
    score.dense = dense_score(route, settings, query.vector, skip);
  }
  // Also without a lexical weight: shares_word() is evidence of its own.
  if (!query.words.empty()) score_words(set, query.words, left_out);
  if (!lexical) {
    for (SignalScores& score : scores_) score.lexical = 0;
  }
  return scores_;
}

float Scorer::dense_score(const RouteBlock& route, const RouterSettings& settings,
                          const float* vector, std::optional<std::uint32_t> left_out) {
  if (settings.aggregation == Aggregation::centroid) return centroid_score(route, vector, left_out);
  const std::span<float> values = similarities(route, vector, left_out);
  if (values.empty()) return 0;
  switch (settings.aggregation) {
    case Aggregation::max:
      return *std::max_element(values.begin(), values.end());
    case Aggregation::mean:
      return mean(values);
    default:
      return top_k_mean(values, settings.top_k);
  }
}

float Scorer::centroid_score(const RouteBlock& route, const float* vector,
                             std::optional<std::uint32_t> left_out) {
  if (!left_out) {
    if (route.centroid.rows() == 0) return 0;
    float score = 0;
    dot_rows_(vector, route.centroid.data(), 1, route.centroid.stride(), &score);
    return score;
  }
  // The centroid of the others: the same sum without the row.
  std::size_t row = *left_out;
  std::size_t c = 0;
  while (row >= route.chunks[c]->size()) row -= route.chunks[c++]->size();
  if (route.chunks[c]->encoder.empty()) return centroid_score(route, vector, std::nullopt);
  const auto removed = route.chunks[c]->vectors.row(row);
  double product = 0;
  double squares = 0;
  for (std::size_t j = 0; j < removed.size(); ++j) {
    const double other = route.vector_sum[j] - static_cast<double>(removed[j]);
    product += other * static_cast<double>(vector[j]);
    squares += other * other;
  }
  return squares > 1e-12 ? static_cast<float>(product / std::sqrt(squares)) : 0.0F;
}

std::span<float> Scorer::similarities(const RouteBlock& route, const float* vector,
                                      std::optional<std::uint32_t> left_out) {
  if (similarities_.size() < route.utterance_count) similarities_.resize(route.utterance_count);
  std::size_t filled = 0;
  std::size_t first = 0;
  for (const auto& chunk : route.chunks) {
    const Matrix& vectors = chunk->vectors;
    if (vectors.rows() != 0) {
      dot_rows_(vector, vectors.data(), vectors.rows(), vectors.stride(), &similarities_[filled]);
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

void Scorer::score_words(const RouteSet& set, std::span<const QueryWord> words,
                         std::optional<LeftOut> left_out) {
  if (word_sums_.size() < set.utterance_count()) word_sums_.resize(set.utterance_count());
  for (const QueryWord& word : words) {
    const std::span<const Posting> postings = set.lexical.find(word.hash);
    if (!postings.empty() && !word.is_function_word) shares_word_ = true;
    for (const Posting& posting : postings) {
      float& sum = word_sums_[posting.utterance];
      if (sum == 0.0F) touched_.push_back(posting.utterance);
      sum += posting.impact * word.weight;
    }
  }
  if (left_out) word_sums_[set.first_utterance[left_out->route] + left_out->utterance] = 0;
  for (const std::uint32_t utterance : touched_) {
    float& best = scores_[set.route_of[utterance]].lexical;
    best = std::max(best, saturate_bm25(word_sums_[utterance]));
    word_sums_[utterance] = 0;
  }
  touched_.clear();
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
