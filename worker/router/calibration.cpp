#include "worker/router/calibration.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <vector>

#include "worker/router/aggregation_contest.h"
#include "worker/router/leave_one_out.h"
#include "worker/router/reliability.h"
#include "worker/router/validate.h"

namespace tenantd {
namespace {

// Two anchors a sample keep sense where utterances are few or unlike each other: a text that equals
// an utterance belongs to its route, a text that is like nothing belongs nowhere.
constexpr float anchor_weight = 0.25F;
// A stray question is less usual than one that belongs somewhere.
constexpr float stranger_weight = 0.7F;
// In the confidence it counts less still: what is left out already lacks its best example.
constexpr float stranger_claim_weight = 0.2F;
// Nor do utterances that are left out say anything of texts that equal one where a route has only
// few, each about something else: all of them fail. There the anchors count as much as so many
// examples, together.
constexpr float anchors_at_least = 9.0F;

constexpr std::array<ScoreMode, 3> modes{ScoreMode::dense, ScoreMode::lexical, ScoreMode::both};

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

// The first step: what scores of each mode are worth.
class SignalExamples {
 public:
  SignalExamples(const RouterSettings& settings, Searcher& searcher)
      : settings_(settings), searcher_(searcher) {}

  void add(const LeaveOneOut::Asked& asked) {
    for (const ScoreMode mode : modes) {
      const FusedScore right = fuse_as(mode, asked.without, settings_);
      if (right.mode != ScoreMode::none && asked.siblings > 1) {
        add(mode, right.score, 1.0F, true);
        has_siblings_[static_cast<std::size_t>(mode)] = true;
      }
      if (const auto wrong = best_other(asked.route, mode)) {
        add(mode, *wrong, stranger_weight, false);
      }
      const FusedScore itself = fuse_as(mode, asked.with, settings_);
      if (itself.mode == ScoreMode::none) continue;
      add(mode, itself.score, anchor_weight, true);
      add(mode, 0.0F, anchor_weight, false);
    }
  }
  void fit(Calibration& calibration) const {
    for (const ScoreMode mode : modes) {
      const auto m = static_cast<std::size_t>(mode);
      Sigmoid& sigmoid = calibration.sigmoids[m];
      sigmoid = has_siblings_[m] ? fit_sigmoid(by_mode_[m], sigmoid)
                                 : lift_above_strangers(by_mode_[m], sigmoid);
    }
  }

 private:
  void add(ScoreMode mode, float score, float weight, bool belongs) {
    by_mode_[static_cast<std::size_t>(mode)].push_back({score, weight, belongs});
  }
  std::optional<float> best_other(std::uint32_t own, ScoreMode mode) {
    for (const RankedRoute& route : searcher_.best(unfitted_, 2, mode)) {
      if (route.route != own) return route.fused.score;
    }
    return std::nullopt;
  }

  const RouterSettings& settings_;
  Searcher& searcher_;
  const Calibration unfitted_ = without_fit();
  std::array<std::vector<LabelledScore>, 4> by_mode_;
  // By mode: a route with two utterances showed what belonging looks like.
  std::array<bool, 4> has_siblings_{};
};

// The second step: what the best route's claim is worth, whatever its mode.
class ClaimExamples {
 public:
  ClaimExamples(const Calibration& calibration, const RouterSettings& settings, Searcher& searcher)
      : calibration_(calibration),
        settings_(settings),
        searcher_(searcher),
        anchor_weight_(std::clamp(anchors_at_least / static_cast<float>(calibration.samples),
                                  anchor_weight, 1.0F)) {}

  void add(const LeaveOneOut::Asked& asked) {
    // Best first: what the other routes make of it, one more than are rivals.
    logits_.clear();
    for (const RankedRoute& route : searcher_.best(calibration_, Rivals::most + 2)) {
      if (route.route != asked.route) logits_.push_back(route.logit);
    }
    if (logits_.size() > 1) add_best(stranger_claim_weight, false);
    if (logits_.empty()) return;
    add_anchors(asked.with);
    const FusedScore right = fuse(asked.without, settings_);
    if (right.mode == ScoreMode::none || asked.siblings < 2) return;
    const float own = calibration_.logit(right);
    const bool found = own > logits_.front();
    ++answered_;
    if (found) ++found_;
    logits_.insert(std::ranges::upper_bound(logits_, own, std::greater<>()), own);
    add_best(1.0F, found);
  }
  void fit(Calibration& calibration) const {
    calibration.answered = answered_;
    if (answered_ == 0) return;
    std::vector<LabelledScore> all = examples_;
    all.insert(all.end(), anchors_.begin(), anchors_.end());
    calibration.final = fit_sigmoid(all, calibration.final);
    calibration.accuracy = static_cast<float>(found_) / static_cast<float>(answered_);
    ReliabilityBins bins;
    for (const LabelledScore& example : examples_) {
      bins.add(probability(calibration.final.logit(example.score)), example.belongs,
               example.weight);
    }
    calibration.expected_error = bins.expected_error();
  }

 private:
  // `itself`: what the own route makes of the utterance that it holds; logits_ has the others.
  void add_anchors(const SignalScores& itself) {
    const FusedScore fused = fuse(itself, settings_);
    if (fused.mode == ScoreMode::none) return;
    Rivals rivals;
    for (const float logit : logits_) rivals.add(logit);
    const float claim = Calibration::claim(calibration_.logit(fused), rivals);
    anchors_.push_back({claim, anchor_weight_, true});
    // Half: what is like nothing is told easily, and small tenants shall answer.
    anchors_.push_back({calibration_.logit({fused.mode, 0.0F}), anchor_weight_ / 2, false});
  }
  void add_best(float weight, bool belongs) {
    Rivals rivals;
    for (const float logit : std::span(logits_).subspan(1)) rivals.add(logit);
    examples_.push_back({Calibration::claim(logits_.front(), rivals), weight, belongs});
  }

  const Calibration& calibration_;
  const RouterSettings& settings_;
  Searcher& searcher_;
  float anchor_weight_;
  std::vector<float> logits_;
  std::vector<LabelledScore> examples_;
  std::vector<LabelledScore> anchors_;  // fitted to, but no measure of how well that went
  std::uint32_t answered_ = 0;
  std::uint32_t found_ = 0;
};

// Calls `take` for each of `samples` utterances.
void ask_samples(const RouteSet& set, const RouterSettings& settings, Searcher& searcher,
                 std::size_t samples, const std::function<void(const LeaveOneOut::Asked&)>& take) {
  LeaveOneOut asker(set, searcher);
  for_each_sample(set, samples, [&](std::span<const std::uint32_t> utterances) {
    asker.scan(settings, utterances);
    for (std::size_t i = 0; i < utterances.size(); ++i) take(asker.select(i));
  });
}

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
  calibration.samples = static_cast<std::uint32_t>(samples);
  if (settings.aggregation == Aggregation::automatic) {
    choose_aggregation(set, settings, searcher, samples, calibration);
  }
  const RouterSettings decided = calibration.decide(settings);
  SignalExamples signals(decided, searcher);
  ask_samples(set, decided, searcher, samples,
              [&signals](const LeaveOneOut::Asked& asked) { signals.add(asked); });
  signals.fit(calibration);
  ClaimExamples claims(calibration, decided, searcher);
  ask_samples(set, decided, searcher, samples,
              [&claims](const LeaveOneOut::Asked& asked) { claims.add(asked); });
  claims.fit(calibration);
  return calibration;
}

RouterSettings Calibration::decide(const RouterSettings& settings) const noexcept {
  RouterSettings decided = settings;
  if (settings.aggregation != Aggregation::automatic) return decided;
  decided.aggregation = aggregation;
  decided.top_k = top_k;
  decided.prototype_weight_e4 = prototype_weight_e4;
  return decided;
}

bool fits_alike(const RouterSettings& a, const RouterSettings& b) noexcept {
  return a.dense_weight == b.dense_weight && a.lexical_weight == b.lexical_weight &&
         a.aggregation == b.aggregation && a.top_k == b.top_k &&
         a.prototype_weight_e4 == b.prototype_weight_e4;
}

bool wants_refit(const Calibration& calibration, const RouteSet& set,
                 std::size_t edited_utterances) noexcept {
  if (calibration.samples == 0 || set.utterance_count() <= max_calibration_samples) return true;
  const std::size_t fitted = calibration.fitted_utterances;
  constexpr std::size_t times = 3;
  return edited_utterances > times * fitted;
}

}  // namespace tenantd
