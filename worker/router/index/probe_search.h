// The largest similarities of each route's rows for some queries, found through an index.
//
// Runs in: worker; one object a thread. Owns its scratch memory. Per query it reads the lists
// around the query, nearest first, until they held probe_rows rows, and every row that is in no
// list: these are the query's hits. A route's other rows count as alike to the query as the rows of
// the next list are on average. Where a route's score is asked for, its other rows are read as
// well, unless that is too much; if all of them were read, the score is the exact one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/router/index/vector_index.h"
#include "worker/router/kernels/kernels.h"
#include "worker/router/kernels/quantise.h"
#include "worker/router/query.h"

namespace tenantd {

class ProbeSearch {
 public:
  // Rows that largest() reads for one query, and of one route, beside the hits.
  static constexpr std::size_t most_completed_rows = 8192;
  static constexpr std::size_t largest_completed_route = 2048;

  explicit ProbeSearch(const Kernels& kernels) noexcept : kernels_(&kernels) {}

  // All is borrowed until the next call.
  void scan(const RouteSet& set, const IndexView& view,
            std::span<const QuerySignals* const> queries);
  // The mean of the k largest of the route's rows by their bounds; `route` has rows.
  [[nodiscard]] float estimate(std::size_t query, std::uint32_t route, std::size_t k);
  // The mean of the k largest products of the route's rows.
  [[nodiscard]] float largest(std::size_t query, std::uint32_t route, std::size_t k);
  // Of the last scan(): how many rows it read for the query.
  [[nodiscard]] std::size_t rows_read(std::size_t query) const noexcept {
    return found_[query].hits.size();
  }

 private:
  struct Row {
    const QuantisedRows* rows;
    std::uint32_t index;   // in them
    std::uint32_t number;  // in the set
    std::uint32_t route;
  };
  struct Hit {
    std::uint32_t row;    // in the set
    std::uint32_t route;  // of the row
    float bound;          // not below the row's product with the query
  };
  // What is known of one query.
  struct Found {
    std::vector<Hit> hits;              // by route
    std::vector<std::uint32_t> starts;  // routes + 1
    float other = 0;                    // what a row that was not read is taken for
    std::size_t completed_rows = 0;
  };
  void choose_lists(const IndexView& view, const float* vector, Found& found);
  void gather_list(const IndexView& view, std::uint32_t list);
  void gather_segment(std::uint32_t segment);
  void gather_part(std::uint32_t segment, std::uint32_t part, std::uint32_t route);
  // Appends a hit for each gathered row but the one that the query leaves out.
  void read_gathered(const QuerySignals& query, std::vector<Hit>& hits);
  void group_by_route(Found& found);
  [[nodiscard]] std::span<const Hit> hits_of(const Found& found,
                                             std::uint32_t route) const noexcept;
  [[nodiscard]] std::size_t rows_of(const QuerySignals& query, std::uint32_t route) const noexcept;
  void multiply_best(const QuerySignals& query, std::uint32_t route, std::span<const Hit> hits,
                     std::size_t k);

  const Kernels* kernels_;
  const RouteSet* set_ = nullptr;
  std::vector<const QuerySignals*> queries_;
  std::vector<Found> found_;          // one a query
  std::vector<float> list_products_;  // one a list
  std::vector<std::uint32_t> order_;  // lists, nearest first
  std::size_t probes_ = 0;            // of them
  std::vector<Row> gathered_;
  QuantisedRows block_;
  std::size_t block_dimension_ = 0;
  std::vector<Hit> grouped_;
  std::vector<Hit> completed_;
  std::vector<std::uint32_t> order_by_bound_;
  std::vector<float> values_;
};

}  // namespace tenantd
