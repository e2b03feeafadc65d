#include "worker/router/aggregation_contest.h"

#include <algorithm>
#include <array>
#include <vector>

#include "worker/router/calibration.h"
#include "worker/router/leave_one_out.h"

namespace tenantd {
namespace {

struct Candidate {
  Aggregation aggregation;
  bool tenants_top_k;  // else 1
  std::uint16_t prototype_weight_e4;
};

constexpr std::array<Candidate, 6> candidates{{{Aggregation::prototype_mix, false, 5000},
                                               {Aggregation::prototype_mix, false, 2500},
                                               {Aggregation::prototype_mix, true, 2500},
                                               {Aggregation::top_k_mean, true, 0},
                                               {Aggregation::max, false, 0},
                                               {Aggregation::centroid, false, 0}}};

RouterSettings settings_of(const Candidate& candidate, RouterSettings settings) {
  settings.aggregation = candidate.aggregation;
  if (!candidate.tenants_top_k) settings.top_k = 1;
  settings.prototype_weight_e4 = candidate.prototype_weight_e4;
  return settings;
}

class Contest {
 public:
  Contest(const RouteSet& set, const RouterSettings& settings, Searcher& searcher)
      : settings_(settings), searcher_(searcher), asker_(set, searcher) {
    for (const Candidate& candidate : candidates) {
      settings_of_.push_back(settings_of(candidate, settings));
    }
    as_scored_.sigmoids.fill({1.0F, 0.0F});
  }

  void ask(std::span<const std::uint32_t> utterances) {
    asker_.scan(settings_, utterances);
    std::vector<std::uint32_t> found(utterances.size());  // a bit a candidate
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      asker_.aggregate(settings_of_[c]);
      for (std::size_t i = 0; i < utterances.size(); ++i) {
        if (finds_route(i)) found[i] |= 1U << c;
      }
    }
    outcomes_.insert(outcomes_.end(), found.begin(), found.end());
  }

  [[nodiscard]] std::size_t winner() const {
    std::size_t best = 0;
    for (std::size_t c = 1; c < candidates.size(); ++c) {
      if (beats(c, 0) && (best == 0 || wins(c, best) > wins(best, c))) best = c;
    }
    return best;
  }

 private:
  bool finds_route(std::size_t i) {
    const LeaveOneOut::Asked asked = asker_.select(i);
    if (asked.siblings < 2 || !asked.without.has_dense) return false;
    const float own = fuse(asked.without, settings_).score;
    for (const RankedRoute& route : searcher_.best(as_scored_, 2)) {
      if (route.route != asked.route) return own > route.fused.score;
    }
    return true;
  }
  [[nodiscard]] double wins(std::size_t a, std::size_t b) const {
    double count = 0;
    for (const std::uint32_t found : outcomes_) {
      if ((found >> a & 1U) != 0 && (found >> b & 1U) == 0) count += 1;
    }
    return count;
  }
  [[nodiscard]] bool beats(std::size_t a, std::size_t b) const {
    const double more = wins(a, b) - wins(b, a);
    return more > 0 && more * more > wins(a, b) + wins(b, a);
  }

  const RouterSettings& settings_;
  Searcher& searcher_;
  LeaveOneOut asker_;
  Calibration as_scored_;
  std::vector<RouterSettings> settings_of_;
  std::vector<std::uint32_t> outcomes_;
};

}  // namespace

void choose_aggregation(const RouteSet& set, const RouterSettings& settings, Searcher& searcher,
                        std::size_t samples, Calibration& calibration) {
  std::size_t winner = 0;
  if (settings.dense_weight > 0 && set.vector_count > set.routes.size() && !set.mixed_encoders) {
    Contest contest(set, settings, searcher);
    for_each_sample(set, std::min(samples, max_contest_samples),
                    [&contest](std::span<const std::uint32_t> some) { contest.ask(some); });
    winner = contest.winner();
  }
  const RouterSettings chosen = settings_of(candidates[winner], settings);
  calibration.aggregation = chosen.aggregation;
  calibration.top_k = chosen.top_k;
  calibration.prototype_weight_e4 = chosen.prototype_weight_e4;
}

}  // namespace tenantd
