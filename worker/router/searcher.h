// The best routes for a query, exactly, without scoring every route exactly.
//
// Runs in: worker; one object a thread. Each route gets a bound of its fused score first. Then,
// again and again, the route with the highest bound gets a closer and dearer one, and at last its
// score; whatever has its score when it is on top is the next best (A*: Hart, Nilsson and Raphael
// 1968). So nothing dear is done for a route whose bound does not reach the answer's. Every
// step from a bound of a signal to a bound of the logit is the very arithmetic of the exact score,
// and each of its operations rises with its operands after rounding too: so routes, order and
// scores are those of scoring everything.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "worker/router/calibration.h"
#include "worker/router/dense_search.h"
#include "worker/router/fusion.h"
#include "worker/router/word_search.h"

namespace tenantd {

struct RankedRoute {
  std::uint32_t route;  // index into RouteSet::routes
  float logit;
  FusedScore fused;
  SignalScores signals;
  float rules = 0;  // the rules' score; the logit is with what they say
};

class Searcher {
 public:
  explicit Searcher(const Kernels& kernels = best_kernels()) noexcept : dense_(kernels) {}

  // Starts on `queries`; all that is given is borrowed until the next call. Not more than
  // queries_at_once() of them. Through an `index` the best routes are very likely those without it.
  void scan(const RouteSet& set, const RouterSettings& settings,
            std::span<const QuerySignals> queries, const IndexView* index = nullptr);
  // Of the last scan(), which was with Aggregation::automatic: as if it had been with `settings`,
  // whose weights are the same. Before select().
  void aggregate(const RouterSettings& settings);
  [[nodiscard]] static std::size_t queries_at_once(const RouteSet& set) noexcept {
    return DenseSearch::queries_at_once(set);
  }

  // Looks up the words of query number `query` of the last scan(). Before best().
  void select(std::size_t query);
  // Of the selected query.
  [[nodiscard]] WordSearch& words() noexcept { return words_; }

  // The `wanted` routes with the highest logits, best first, equal ones by priority and then by
  // index; fewer if fewer have a signal. `only`: routes whose score is of that mode when its
  // signals alone count, without what rules say. Valid until the next call.
  [[nodiscard]] std::span<const RankedRoute> best(const Calibration& calibration,
                                                  std::size_t wanted,
                                                  std::optional<ScoreMode> only = std::nullopt);

 private:
  // What is known of a route, ever dearer to know.
  enum class Known : std::uint8_t { bound, closer_bound, words, all };
  struct Candidate {
    float logit;
    std::uint32_t route;
    Known known;
  };
  // For a heap: the highest logit on top; of equal ones first what is not known, then the higher
  // priority, then the first route.
  [[nodiscard]] bool is_below(const Candidate& a, const Candidate& b) const noexcept;
  [[nodiscard]] auto below() const noexcept {
    return [this](const Candidate& a, const Candidate& b) noexcept { return is_below(a, b); };
  }
  [[nodiscard]] RankedRoute rank(std::uint32_t route) const noexcept;
  void spread_evidence();
  void find_bounds();
  [[nodiscard]] bool is_dense_only() const noexcept;
  void find_dense_bounds(std::uint32_t count);
  void find_first(std::size_t wanted);
  void find_candidates(std::size_t wanted);
  [[nodiscard]] Candidate look_closer(const Candidate& candidate);
  [[nodiscard]] Candidate look_closest(std::uint32_t route);

  static constexpr std::size_t most_first = 16;

  DenseSearch dense_;
  WordSearch words_;
  const RouteSet* set_ = nullptr;
  const RouterSettings* settings_ = nullptr;
  const Calibration* calibration_ = nullptr;
  std::optional<ScoreMode> only_;
  std::span<const QuerySignals> queries_;
  std::vector<const QuerySignals*> with_vector_;
  std::vector<std::size_t> dense_index_;  // of each query among with_vector_
  std::size_t selected_ = 0;
  bool use_dense_ = false;             // of the selected query, as settings and mode allow
  bool use_lexical_ = false;           // likewise
  bool use_rules_ = false;             // likewise
  std::vector<SignalScores> signals_;  // one a route: what is known
  std::vector<float> rules_;           // one a route, if use_rules_
  std::vector<float> bounds_;  // one a route: of the logit; no_signal: no candidate (any more)
  std::vector<std::uint32_t> first_;   // routes with the highest bounds, highest first
  std::vector<Candidate> candidates_;  // a heap
  std::vector<RankedRoute> best_;      // best first
};

}  // namespace tenantd
