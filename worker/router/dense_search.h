// Dense scores of all routes for some queries: first bounds from bytes, then, where it is asked
// for, the exact fp32 score.
//
// Runs in: worker; one object a thread. Owns the scratch memory: once grown to the largest route
// set it works without allocating.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shared/contract/tenant_settings.h"
#include "worker/router/aggregate.h"
#include "worker/router/index/probe_search.h"
#include "worker/router/kernels/kernels.h"
#include "worker/router/query.h"
#include "worker/router/route_set.h"

namespace tenantd {

class DenseSearch {
 public:
  // `kernels` must be ones that this CPU runs.
  explicit DenseSearch(const Kernels& kernels = best_kernels()) noexcept
      : kernels_(&kernels), probes_(kernels) {}

  // Reads every vector once for all `queries`, which all have one; with an `index` of the set those
  // near each query, and bounds and scores are then what probe_search.h says. All is borrowed
  // until the next call.
  void scan(const RouteSet& set, const RouterSettings& settings,
            std::span<const QuerySignals* const> queries, const IndexView* index = nullptr);
  // The same queries with another aggregation, from the rows as they were read; scan() was called
  // with Aggregation::automatic, which reads them whatever is aggregated then.
  void aggregate(const RouterSettings& settings);

  // How many queries scan() should be given at once, so that its memory stays within some MiB.
  [[nodiscard]] static std::size_t queries_at_once(const RouteSet& set) noexcept;

  // Not below the exact score of `route` for query number `query` of the last scan().
  [[nodiscard]] float bound(std::size_t query, std::uint32_t route) const noexcept {
    return route_bounds_[query * route_count_ + route];
  }
  // The same for all routes.
  [[nodiscard]] const float* bounds(std::size_t query) const noexcept {
    return route_bounds_.data() + query * route_count_;
  }
  // Whether closer_bound() says more than bound().
  [[nodiscard]] bool has_closer_bound() const noexcept { return has_closer_bound_; }
  // A bound that is lower and costs more; still not below the exact score. No float is read for it.
  [[nodiscard]] float closer_bound(std::size_t query, std::uint32_t route);
  // Asks for the floats that exact() is going to read first.
  void prefetch(std::size_t query, std::uint32_t route) noexcept;
  // The score as the definition in aggregate.h has it.
  [[nodiscard]] float exact(std::size_t query, std::uint32_t route);

 private:
  struct Used {
    std::size_t row;
    float bound;
  };
  [[nodiscard]] const ScanQuery& codes_of(std::size_t query) const noexcept {
    return has_coarse_bounds_ ? queries_[query]->coarse : queries_[query]->codes;
  }
  void scan_rows();
  void scan_some(const ScanRows& rows, std::vector<float>& bounds, std::size_t stride,
                 std::size_t first);
  void find_route_bounds();
  void find_route_bound(std::size_t query, std::uint32_t route);
  void estimate_routes();
  [[nodiscard]] const Aggregator& aggregator_of(std::uint32_t route) const noexcept {
    return own_.empty() ? tenants_ : own_[route];
  }
  [[nodiscard]] float centroid_score(std::size_t query, std::uint32_t route,
                                     const Aggregator& how) const noexcept;
  [[nodiscard]] float centroid_bound(float product, std::uint32_t route,
                                     const Aggregator& how) const noexcept;
  [[nodiscard]] float largest_bound(std::span<const float> bounds, std::size_t k) const noexcept;
  void refine_rows(std::size_t query, std::uint32_t route);
  [[nodiscard]] float refined_centroid(std::size_t query, std::uint32_t route);
  [[nodiscard]] float exact_largest(std::size_t query, std::uint32_t route, std::size_t top_k);
  [[nodiscard]] float exact_largest_one(const float* query, std::uint32_t route,
                                        std::span<const float> bounds) const noexcept;
  [[nodiscard]] std::span<float> rows_of(std::size_t query, std::uint32_t route) noexcept;

  const Kernels* kernels_;
  const RouteSet* set_ = nullptr;
  Aggregator tenants_;
  std::vector<Aggregator> own_;     // one a route; empty: no route has its own
  bool has_rows_ = false;           // row_bounds_ holds what scan() read
  bool has_centroids_ = false;      // likewise
  bool has_coarse_bounds_ = false;  // of one byte a float of the query
  bool has_closer_bound_ = false;
  bool through_index_ = false;
  ProbeSearch probes_;
  std::size_t route_count_ = 0;
  std::size_t row_stride_ = 0;
  std::size_t centroid_stride_ = 0;
  std::span<const QuerySignals* const> queries_;
  std::vector<ScanQuery> codes_;
  std::vector<float*> outputs_;
  std::vector<float> row_bounds_;       // queries × rows
  std::vector<float> centroid_bounds_;  // queries × routes, of products
  std::vector<float> route_bounds_;     // queries × routes
  std::vector<float> values_;
  std::vector<Used> used_;
};

}  // namespace tenantd
