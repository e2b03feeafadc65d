// Two signals, one score; and what rules add to it.
//
// Runs in: worker. Fusing rises with each signal, also after rounding: bounds of the signals give a
// bound of the fused score.
#pragma once

#include <cstdint>

#include "shared/contract/tenant_settings.h"
#include "worker/router/query.h"

namespace tenantd {

// Which signals a fused score is made of. Scores of different modes compare by confidence only.
enum class ScoreMode : std::uint8_t { none = 0, dense = 1, lexical = 2, both = 3 };

struct FusedScore {
  ScoreMode mode = ScoreMode::none;
  float score = 0;
};

// The weighted mean of the signals that apply.
[[nodiscard]] inline FusedScore fuse(const SignalScores& signals,
                                     const RouterSettings& settings) noexcept {
  const float dense = signals.has_dense ? settings.dense_weight : 0.0F;
  const float lexical = signals.has_lexical ? settings.lexical_weight : 0.0F;
  const auto mode =
      static_cast<ScoreMode>((signals.has_dense ? 1 : 0) + (signals.has_lexical ? 2 : 0));
  if (dense + lexical <= 0) return {};
  return {mode, (dense * signals.dense + lexical * signals.lexical) / (dense + lexical)};
}

// What `signal` rules with this score (rule_score(), > 0) say, added to a calibrated logit:
// log-odds of independent evidence add up. Two for one match at the default weight of 1: odds of
// one to seven become even. A route that nothing but rules speaks for starts from even odds, a
// logit of 0.
[[nodiscard]] inline float add_evidence(float logit, float score,
                                        const RouterSettings& settings) noexcept {
  constexpr float log_odds_of_all = 4.0F;
  return logit + settings.rule_weight * log_odds_of_all * score;
}

}  // namespace tenantd
