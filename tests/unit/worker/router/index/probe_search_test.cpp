#include "worker/router/index/probe_search.h"

#include <doctest/doctest.h>

#include <unordered_map>

#include "tests/unit/worker/router/index/index_fixtures.h"
#include "worker/router/dot.h"
#include "worker/router/index/partition.h"
#include "worker/router/searcher.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 24;

using Blocks = std::vector<std::shared_ptr<const RouteBlock>>;

Blocks blocks_of(const std::vector<RouteDefinition>& routes) {
  Blocks blocks;
  for (const RouteDefinition& route : routes) blocks.push_back(build_route(route, dimension));
  return blocks;
}

std::shared_ptr<const IndexLists> lists_of(const std::shared_ptr<const RouteSet>& set,
                                           std::size_t lists) {
  PartitionTrainer trainer(set, lists, best_kernels());
  while (trainer.step()) {
  }
  auto partition = std::make_shared<Partition>();
  partition->centroids = trainer.take_centroids();
  partition->mean_lengths.assign(lists, 0.5F);
  return make_index_lists(*set, partition, [&partition](const UtteranceChunk& chunk) {
    std::vector<const float*> rows;
    for (std::size_t i = 0; i < chunk.vectors.rows(); ++i) {
      rows.push_back(chunk.vectors.row(i).data());
    }
    std::vector<std::uint16_t> nearest(rows.size());
    std::vector<float> products(rows.size());
    assign_to_nearest(best_kernels(), partition->centroids, rows, nearest, products);
    return std::make_shared<const std::vector<std::uint16_t>>(std::move(nearest));
  });
}

struct Query {
  Matrix vector{1, dimension};
  QuantisedQuery codes;
  QuerySignals signals;
  explicit Query(const std::vector<float>& values) {
    REQUIRE(normalise(values, vector.row(0)));
    codes.set(vector.row(0));
    signals.vector = vector.data();
    signals.codes = codes.view();
    signals.coarse = codes.coarse();
  }
};

void check_same(std::span<const RankedRoute> a, const std::vector<RankedRoute>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].route == b[i].route);
    CHECK(a[i].signals.dense == b[i].signals.dense);
  }
}

}  // namespace

TEST_CASE("every kernel assigns a row to the centroid with the largest product") {
  std::mt19937 random(11);
  Matrix centroids(131, dimension);
  for (std::size_t i = 0; i < centroids.rows(); ++i) {
    REQUIRE(normalise(random_vector(random, dimension), centroids.row(i)));
  }
  Matrix rows(77, dimension);
  std::vector<const float*> pointers;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    REQUIRE(normalise(random_vector(random, dimension), rows.row(i)));
    pointers.push_back(rows.row(i).data());
  }
  for (const Kernels* kernels : runnable_kernels()) {
    std::vector<std::uint16_t> lists(rows.rows());
    std::vector<float> products(rows.rows());
    assign_to_nearest(*kernels, centroids, pointers, lists, products);
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      std::vector<float> all(centroids.rows() + 16);
      kernels->dot_rows(pointers[i], centroids.data(), centroids.rows(), centroids.stride(),
                        all.data());
      const auto best = std::max_element(all.begin(), all.begin() + 131) - all.begin();
      CHECK(lists[i] == best);
      CHECK(products[i] == all[static_cast<std::size_t>(best)]);
    }
  }
}

TEST_CASE("a search that reads every list is the exact one, after any edits") {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Blocks blocks =
        blocks_of(topical_routes(seed, 40 + random() % 80, 1 + random() % 120, dimension));
    auto set = build_route_set(blocks, dimension);
    const auto lists = lists_of(set, 37);
    for (int edits = 0; edits < 4; ++edits) {
      const auto view = make_index_view(lists, *set, set->vector_count);
      CHECK(view->tail_rows + lists->entries.size() - view->gone_rows == set->vector_count);
      for (const Aggregation how : {Aggregation::max, Aggregation::top_k_mean,
                                    Aggregation::prototype_mix, Aggregation::mean}) {
        RouterSettings settings = index_settings(dimension, how).router;
        settings.top_k = static_cast<std::uint16_t>(1 + random() % 6);
        const Calibration calibration = default_calibration(settings);
        Searcher exact;
        Searcher through;
        const Query query(random_vector(random, dimension));
        const Query other(random_vector(random, dimension));
        const QuerySignals signals[] = {query.signals, other.signals};
        exact.scan(*set, settings, signals);
        through.scan(*set, settings, signals, view.get());
        for (std::size_t q = 0; q < 2; ++q) {
          exact.select(q);
          through.select(q);
          const auto best = exact.best(calibration, 5);
          check_same(through.best(calibration, 5), {best.begin(), best.end()});
        }
      }
      // Somewhere a route goes, another grows, and a third comes.
      blocks.erase(blocks.begin() + static_cast<long>(random() % blocks.size()));
      auto& grown = blocks[random() % blocks.size()];
      const Utterance more[] = {{"", random_vector(random, dimension), "e"}};
      grown = append_utterances(*grown, more, dimension);
      RouteDefinition last = topical_routes(seed + 100, 1, 3, dimension)[0];
      last.id = "s" + std::to_string(edits);
      blocks.push_back(build_route(last, dimension));
      set = build_route_set(blocks, dimension, set.get());
    }
  }
}

TEST_CASE("few rows are read, and a row that is left out is not found") {
  const auto set = build_route_set(blocks_of(topical_routes(3, 50, 100, dimension)), dimension);
  const auto lists = lists_of(set, 64);
  const auto view = make_index_view(lists, *set, 300);
  const std::uint32_t row = set->first_row[17] + 5;
  Query query(
      std::vector<float>(set->routes[17]->vector_of(5), set->routes[17]->vector_of(5) + dimension));
  ProbeSearch probes(best_kernels());
  const QuerySignals* one[] = {&query.signals};
  probes.scan(*set, *view, one);
  CHECK(probes.rows_read(0) >= 300);
  CHECK(probes.rows_read(0) < 1500);
  CHECK(probes.largest(0, 17, 1) == doctest::Approx(1));
  query.signals.left_out_row = row;
  probes.scan(*set, *view, one);
  CHECK(probes.largest(0, 17, 1) < 0.99F);
}
