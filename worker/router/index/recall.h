// How often the best route through an index is the best route of all, on the tenant's own vectors.
//
// Runs in: worker, editor thread, in slices. Sampled rows are asked as queries, each as if it were
// not there itself: its row is left out, on both sides (a centroid still counts it, on both sides).
// Recall@1 is the share of them whose best route by the dense score is the same, or scores the
// same, as the best route when every row of every route is multiplied. Words are searched exactly
// whatever the index does.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "worker/router/dense_search.h"
#include "worker/router/index/vector_index.h"

namespace tenantd {

struct IndexQuality {
  float recall = 0;              // measured
  float recall_at_least = 0;     // with 95 % confidence, see recall_bound()
  std::uint32_t sampled = 0;     // queries
  std::uint64_t probe_rows = 0;  // rows that lists are read up to
  bool sufficient = false;       // recall_at_least is what was wanted, or more
};

inline constexpr std::size_t max_recall_samples = 1024;

// One-sided 95 % lower bound of a share of which `hits` of `count` > 0 were seen (Wilson 1927).
[[nodiscard]] double recall_bound(std::size_t hits, std::size_t count) noexcept;
// More rows than this are not read for a query, however many there are: an index that needs them
// is not worth having.
[[nodiscard]] std::size_t most_probe_rows(std::size_t vectors) noexcept;

class RecallMeasure {
 public:
  // `scoring`: as queries are scored, "automatic" decided. The lists are of this very set.
  RecallMeasure(std::shared_ptr<const RouteSet> set, std::shared_ptr<const IndexLists> lists,
                const RouterSettings& scoring, double wanted,
                const Kernels& kernels = best_kernels());

  // Some milliseconds of work; true: there is more.
  [[nodiscard]] bool step();
  // In [0,1].
  [[nodiscard]] double progress() const noexcept;
  // After step() has returned false: with the fewest probe_rows that suffice, or the most there
  // are.
  [[nodiscard]] const IndexQuality& quality() const noexcept { return quality_; }

 private:
  struct Query {
    std::uint32_t row;
    const float* vector;
    QuantisedQuery codes;
    float best_score;  // by the reference
    std::uint32_t best_route;
  };
  void choose_queries();
  void multiply_block(const Matrix& vectors, std::size_t first, std::size_t count);
  void end_route();
  [[nodiscard]] bool step_reference();
  void try_level();
  [[nodiscard]] bool finds_best(Query& query);
  [[nodiscard]] Aggregator aggregator_of(const RouteBlock& route) const noexcept;

  std::shared_ptr<const RouteSet> set_;
  std::shared_ptr<const IndexLists> lists_;
  RouterSettings scoring_;
  double wanted_;
  const Kernels* kernels_;
  std::vector<Query> queries_;
  // The reference: where it is, and the largest similarities of its route, descending, by query.
  std::size_t route_ = 0;
  std::size_t chunk_ = 0;
  std::size_t row_in_chunk_ = 0;
  std::uint32_t row_ = 0;  // in the set
  Aggregator how_;
  std::vector<float> largest_;  // queries × k
  std::vector<std::uint32_t> largest_counts_;
  std::vector<float> products_;
  // The levels.
  std::shared_ptr<const IndexView> view_;
  std::size_t level_rows_ = 0;
  std::size_t next_query_ = 0;
  std::size_t hits_ = 0;
  DenseSearch search_;
  std::vector<std::uint32_t> order_;
  IndexQuality quality_;
};

}  // namespace tenantd
