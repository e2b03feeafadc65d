#include "worker/router/calibration.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "worker/router/route_set.h"
#include "worker/router/scorer.h"
#include "worker/router/searcher.h"
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

// Scores as they are: the order of logits is theirs.
Calibration without_fit() noexcept {
  Calibration calibration;
  calibration.sigmoids.fill({1.0F, 0.0F});
  return calibration;
}

class Examiner {
 public:
  Examiner(const RouteSet& set, const RouterSettings& settings, Searcher& searcher)
      : set_(set), settings_(settings), searcher_(searcher) {}

  // All `utterances` together: each vector of the set is read once for all of them.
  void ask(std::span<const std::uint32_t> utterances, Examples& examples) {
    asked_.resize(std::max(asked_.size(), utterances.size()));
    signals_.clear();
    for (std::size_t i = 0; i < utterances.size(); ++i) {
      signals_.push_back(prepare(utterances[i], asked_[i]));
    }
    searcher_.scan(set_, settings_, signals_);
    for (std::size_t i = 0; i < utterances.size(); ++i) {
      searcher_.select(i);
      add_examples(signals_[i], asked_[i], examples);
    }
  }

 private:
  struct Asked {
    std::uint32_t route = 0;
    std::uint32_t in_route = 0;
    std::size_t siblings = 0;  // utterances of the route that have what this one has
    QuantisedQuery codes;
    TokenList words;
    std::vector<QueryWord> distinct;
  };

  QuerySignals prepare(std::uint32_t utterance, Asked& asked) {
    asked.route = set_.route_of(utterance);
    const RouteBlock& route = *set_.routes[asked.route];
    asked.in_route = utterance - set_.first_utterance[asked.route];
    std::size_t row = asked.in_route;
    std::size_t c = 0;
    while (row >= route.chunks[c]->size()) row -= route.chunks[c++]->size();
    const UtteranceChunk& chunk = *route.chunks[c];
    asked.siblings = chunk.encoder.empty() ? route.text_count : route.vector_count;
    QuerySignals query;
    if (!chunk.encoder.empty()) {
      asked.codes.set(chunk.vectors.row(row));
      query.vector = chunk.vectors.row(row).data();
      query.codes = asked.codes.view();
    }
    tokenize(chunk.texts[row], asked.words);
    distinct_words(asked.words, asked.distinct);
    query.words = asked.distinct;
    return query;
  }

  void add_examples(const QuerySignals& query, const Asked& asked, Examples& examples) {
    const SignalScores without =
        scorer_.score(set_, settings_, query, searcher_.words(), asked.route, asked.in_route);
    const SignalScores with = scorer_.score(set_, settings_, query, searcher_.words(), asked.route);
    for (const ScoreMode mode : modes) {
      const FusedScore right = fuse_as(mode, without, settings_);
      if (right.mode != ScoreMode::none && asked.siblings > 1) {
        examples.add(mode, right.score, 1.0F, true);
        examples.has_siblings[static_cast<std::size_t>(mode)] = true;
      }
      if (const auto wrong = best_other(asked.route, mode)) {
        examples.add(mode, *wrong, stranger_weight, false);
      }
      const FusedScore itself = fuse_as(mode, with, settings_);
      if (itself.mode == ScoreMode::none) continue;
      examples.add(mode, itself.score, anchor_weight, true);
      examples.add(mode, 0.0F, anchor_weight, false);
    }
  }

  std::optional<float> best_other(std::uint32_t own, ScoreMode mode) {
    for (const RankedRoute& route : searcher_.best(unfitted_, 2, mode)) {
      if (route.route != own) return route.fused.score;
    }
    return std::nullopt;
  }

  const RouteSet& set_;
  const RouterSettings& settings_;
  Searcher& searcher_;
  Scorer scorer_;
  const Calibration unfitted_ = without_fit();
  std::vector<Asked> asked_;
  std::vector<QuerySignals> signals_;
};

}  // namespace

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

Calibration fit_calibration(const RouteSet& set, const RouterSettings& settings,
                            Searcher& searcher) {
  Calibration calibration = default_calibration(settings);
  const std::size_t count = set.utterance_count();
  calibration.fitted_utterances = count;
  calibration.fitted_routes = set.routes.size();
  if (count == 0) return calibration;
  const std::size_t affordable = std::max(calibration_budget / count, min_calibration_samples);
  const std::size_t samples = std::min({count, affordable, max_calibration_samples});
  Examples examples;
  Examiner examiner(set, settings, searcher);
  std::vector<std::uint32_t> utterances;
  for (std::size_t i = 0; i < samples; ++i) {
    utterances.push_back(static_cast<std::uint32_t>(i * count / samples));
    if (utterances.size() < Searcher::queries_at_once(set) && i + 1 < samples) continue;
    examiner.ask(utterances, examples);
    utterances.clear();
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
