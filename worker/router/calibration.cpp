#include "worker/router/calibration.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/router/validate.h"

namespace tenantd {
namespace {

// Two anchors a sample keep sense where utterances are few or unlike each other: a text that equals
// an utterance belongs to its route, a text that is like nothing belongs nowhere.
constexpr float anchor_weight = 0.25F;
// A stray question is less usual than one that belongs somewhere.
constexpr float stranger_weight = 0.7F;

constexpr std::array<ScoreMode, 3> modes{ScoreMode::dense, ScoreMode::lexical, ScoreMode::both};

struct Examples {
  std::array<std::vector<LabelledScore>, 4> by_mode;
  std::array<bool, 4>
      has_siblings{};  // a route with two utterances showed what belonging looks like
  void add(ScoreMode mode, float score, float weight, bool belongs) {
    by_mode[static_cast<std::size_t>(mode)].push_back({score, weight, belongs});
  }
};

// The score as it would be if only the signals of `mode` applied; none if they don't.
FusedScore fuse_as(ScoreMode mode, SignalScores signals, const RouterSettings& settings) noexcept {
  if (mode == ScoreMode::dense) signals.has_lexical = false;
  if (mode == ScoreMode::lexical) signals.has_dense = false;
  const FusedScore fused = fuse(signals, settings);
  return fused.mode == mode ? fused : FusedScore{};
}

// Routes of one utterance show only how alike different routes are: the defaults, with the midpoint
// two standard deviations above that where it is higher.
Sigmoid lift_above_strangers(std::span<const LabelledScore> examples, Sigmoid sigmoid) {
  double count = 0;
  double sum = 0;
  double squares = 0;
  for (const LabelledScore& example : examples) {
    if (example.belongs || example.weight != stranger_weight) continue;
    const auto score = static_cast<double>(example.score);
    count += 1;
    sum += score;
    squares += score * score;
  }
  if (count == 0) return sigmoid;
  const double mean = sum / count;
  const double deviation = std::sqrt(std::max(squares / count - mean * mean, 0.0));
  const auto lifted = static_cast<float>(std::min(mean + 2 * deviation, 0.95));
  sigmoid.midpoint = std::max(sigmoid.midpoint, lifted);
  return sigmoid;
}

class Examiner {
 public:
  Examiner(const RouteSet& set, const RouterSettings& settings, Scorer& scorer)
      : set_(set), settings_(settings), scorer_(scorer) {}

  void ask(std::uint32_t utterance, Examples& examples) {
    const std::uint32_t r = set_.route_of[utterance];
    const RouteBlock& route = *set_.routes[r];
    std::size_t row = utterance - set_.first_utterance[r];
    const auto in_route = static_cast<std::uint32_t>(row);
    std::size_t c = 0;
    while (row >= route.chunks[c]->size()) row -= route.chunks[c++]->size();
    const UtteranceChunk& chunk = *route.chunks[c];

    QuerySignals query;
    if (!chunk.encoder.empty()) query.vector = chunk.vectors.row(row).data();
    tokenize(chunk.texts[row], words_);
    distinct_words(words_, distinct_);
    query.words = distinct_;
    add_examples(scorer_.score(set_, settings_, query, LeftOut{r, in_route}), r,
                 chunk.encoder.empty() ? route.text_count : route.vector_count, examples);
    const auto with_itself = scorer_.score(set_, settings_, query);
    for (const ScoreMode mode : modes) {
      const FusedScore fused = fuse_as(mode, with_itself[r], settings_);
      if (fused.mode == ScoreMode::none) continue;
      examples.add(mode, fused.score, anchor_weight, true);
      examples.add(mode, 0.0F, anchor_weight, false);
    }
  }

 private:
  void add_examples(std::span<const SignalScores> scores, std::uint32_t own, std::size_t siblings,
                    Examples& examples) {
    for (const ScoreMode mode : modes) {
      const FusedScore right = fuse_as(mode, scores[own], settings_);
      if (right.mode != ScoreMode::none && siblings > 1) {
        examples.add(mode, right.score, 1.0F, true);
        examples.has_siblings[static_cast<std::size_t>(mode)] = true;
      }
      FusedScore wrong;
      for (std::size_t r = 0; r < scores.size(); ++r) {
        if (r == own) continue;
        const FusedScore other = fuse_as(mode, scores[r], settings_);
        if (other.mode == ScoreMode::none) continue;
        if (wrong.mode == ScoreMode::none || other.score > wrong.score) wrong = other;
      }
      if (wrong.mode != ScoreMode::none) examples.add(mode, wrong.score, stranger_weight, false);
    }
  }

  const RouteSet& set_;
  const RouterSettings& settings_;
  Scorer& scorer_;
  TokenList words_;
  std::vector<QueryWord> distinct_;
};

}  // namespace

FusedScore fuse(const SignalScores& signals, const RouterSettings& settings) noexcept {
  const float dense = signals.has_dense ? settings.dense_weight : 0.0F;
  const float lexical = signals.has_lexical ? settings.lexical_weight : 0.0F;
  const auto mode =
      static_cast<ScoreMode>((signals.has_dense ? 1 : 0) + (signals.has_lexical ? 2 : 0));
  if (dense + lexical <= 0) return {};
  return {mode, (dense * signals.dense + lexical * signals.lexical) / (dense + lexical)};
}

Calibration default_calibration(const RouterSettings& settings) noexcept {
  Calibration calibration;
  // Hashed vectors of related texts are far less alike than those of a trained encoder.
  const Sigmoid dense = uses_hash_encoder(settings) ? Sigmoid{14.0F, 0.25F} : Sigmoid{12.0F, 0.5F};
  const Sigmoid lexical{14.0F, 0.2F};
  const SignalScores middles{dense.midpoint, lexical.midpoint, true, true};
  auto& sigmoids = calibration.sigmoids;
  sigmoids[static_cast<std::size_t>(ScoreMode::dense)] = dense;
  sigmoids[static_cast<std::size_t>(ScoreMode::lexical)] = lexical;
  sigmoids[static_cast<std::size_t>(ScoreMode::both)] = {dense.slope,
                                                         fuse(middles, settings).score};
  return calibration;
}

Calibration fit_calibration(const RouteSet& set, const RouterSettings& settings, Scorer& scorer) {
  Calibration calibration = default_calibration(settings);
  const std::size_t count = set.utterance_count();
  calibration.fitted_utterances = count;
  calibration.fitted_routes = set.routes.size();
  if (count == 0) return calibration;
  const std::size_t affordable = std::max(calibration_budget / count, min_calibration_samples);
  const std::size_t samples = std::min({count, affordable, max_calibration_samples});
  Examples examples;
  Examiner examiner(set, settings, scorer);
  for (std::size_t i = 0; i < samples; ++i) {
    examiner.ask(static_cast<std::uint32_t>(i * count / samples), examples);
  }
  calibration.samples = static_cast<std::uint32_t>(samples);
  for (const ScoreMode mode : modes) {
    const auto m = static_cast<std::size_t>(mode);
    Sigmoid& sigmoid = calibration.sigmoids[m];
    sigmoid = examples.has_siblings[m] ? fit_sigmoid(examples.by_mode[m], sigmoid)
                                       : lift_above_strangers(examples.by_mode[m], sigmoid);
  }
  return calibration;
}

bool wants_refit(const Calibration& calibration, const RouteSet& set,
                 std::size_t edited_utterances) noexcept {
  if (calibration.samples == 0 || set.utterance_count() <= max_calibration_samples) return true;
  const std::size_t fitted = calibration.fitted_utterances;
  return edited_utterances * 5 > fitted;
}

}  // namespace tenantd
