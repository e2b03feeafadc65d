// From ranked routes to a decision: confidence, `always` rules, threshold, margin, fallback, and
// several answers where they are asked for.
//
// Runs in: worker, loop thread; one object, which keeps its scratch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "worker/router/query_rules.h"
#include "worker/router/scorer.h"
#include "worker/router/searcher.h"
#include "worker/router/snapshot.h"
#include "worker/router/types.h"

namespace tenantd {

[[nodiscard]] RouteDecision fall_back(const RouteSnapshot& snapshot, RouteReason reason);

class DecisionMaker {
 public:
  // Of the query that `searcher` has selected; `signals` and `rules` are its own. `is_hashed`: its
  // vector was hashed from its text. The best route decides alone whether the fallback answers:
  // how many answers are wanted changes nothing in that.
  [[nodiscard]] RouteDecision decide(const RouteSnapshot& snapshot, const RouteQuery& query,
                                     const QuerySignals& signals, const QueryRules& rules,
                                     bool is_hashed, Searcher& searcher);
  // Of the last decision, also when the fallback answers: an index; none if nothing was found.
  [[nodiscard]] std::optional<std::uint32_t> best() const noexcept;

 private:
  struct Placed {
    RankedRoute ranked;
    float confidence;
    bool is_selected;  // by an `always` rule
  };
  [[nodiscard]] std::size_t rank(const RouteSnapshot& snapshot, const RouteQuery& query,
                                 const QuerySignals& signals, const QueryRules& rules,
                                 bool is_hashed, Searcher& searcher, std::size_t wanted);
  void place_selected(const RouteSnapshot& snapshot, const QuerySignals& signals,
                      const QueryRules& rules, Searcher& searcher,
                      std::span<const RankedRoute> ranked);
  [[nodiscard]] bool is_complete(const RouteSnapshot& snapshot, const RouteQuery& query) const;
  [[nodiscard]] RouteReason judge_best(const RouteSnapshot& snapshot) const;
  [[nodiscard]] bool passes(const RouteSnapshot& snapshot, const Placed& placed) const;

  Scorer scorer_;
  std::vector<Placed> placed_;  // best first
};

}  // namespace tenantd
