#include <doctest/doctest.h>

#include "tests/unit/worker/router/index/index_fixtures.h"
#include "worker/router/aggregate.h"
#include "worker/router/dot.h"
#include "worker/router/index/index_builder.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace {

constexpr std::uint32_t dimension = 32;

std::shared_ptr<RouteSnapshot> snapshot_of(const std::vector<RouteDefinition>& routes,
                                           const TenantSettings& settings) {
  auto made = std::make_shared<RouteSnapshot>();
  std::vector<std::shared_ptr<const RouteBlock>> blocks;
  for (const RouteDefinition& route : routes) blocks.push_back(build_route(route, dimension));
  made->set = build_route_set(std::move(blocks), dimension);
  made->settings = settings;
  made->scoring = settings.router;
  made->calibration = default_calibration(settings.router);
  made->version = 7;
  return made;
}

// The number of steps.
std::size_t finish(IndexBuilder& builder, RouteSnapshot& snapshot) {
  std::size_t steps = 1;
  while (builder.step(snapshot)) ++steps;
  snapshot.index = builder.view_for(snapshot);
  return steps;
}

// The slow and obvious way: the mean of the three largest products of each route, without `row`.
std::size_t best_by_hand(const RouteSet& set, std::uint32_t row, const float* query) {
  double best = -2;
  std::size_t best_route = 0;
  for (std::size_t r = 0; r < set.routes.size(); ++r) {
    std::vector<double> products;
    for (std::uint32_t i = set.first_row[r]; i < set.first_row[r + 1]; ++i) {
      if (i == row) continue;
      const float* other = set.routes[r]->vector_of(i - set.first_row[r]);
      double sum = 0;
      for (std::size_t j = 0; j < dimension; ++j) sum += double{other[j]} * double{query[j]};
      products.push_back(sum);
    }
    const std::size_t k = std::min<std::size_t>(3, products.size());
    std::partial_sort(products.begin(), products.begin() + static_cast<long>(k), products.end(),
                      std::greater<>());
    double score = 0;
    for (std::size_t i = 0; i < k; ++i) score += products[i] / static_cast<double>(k);
    if (score > best) {
      best = score;
      best_route = r;
    }
  }
  return best_route;
}

}  // namespace

TEST_CASE("the recall that is told is the recall that somebody else counts") {
  const auto snapshot =
      snapshot_of(topical_routes(5, 200, 60, dimension, 3, 0.7F), index_settings(dimension));
  IndexBuilder builder;
  (void)finish(builder, *snapshot);
  const IndexStatus status = builder.status(*snapshot);
  INFO(status.reason);
  REQUIRE(status.state == IndexState::ready);
  CHECK(status.quality.sampled == 1024);
  CHECK(status.quality.recall_at_least >= 0.99F);
  CHECK(status.quality.probe_rows <= most_probe_rows(12'000));
  CHECK(status.version == 7);
  REQUIRE(snapshot->index != nullptr);

  const RouteSet& set = *snapshot->set;
  std::mt19937 random(99);
  Searcher searcher;
  std::size_t found = 0;
  constexpr std::size_t asked = 250;
  for (std::size_t i = 0; i < asked; ++i) {
    const auto row = static_cast<std::uint32_t>(random() % set.vector_count);
    const std::uint32_t route = set.route_of(row);
    const float* vector = set.routes[route]->vector_of(row - set.first_row[route]);
    QuantisedQuery codes;
    codes.set({vector, dimension});
    QuerySignals signals;
    signals.vector = vector;
    signals.codes = codes.view();
    signals.coarse = codes.coarse();
    signals.left_out_row = row;
    searcher.scan(set, snapshot->scoring, {&signals, 1}, snapshot->index.get());
    searcher.select(0);
    const auto best = searcher.best(snapshot->calibration, 1);
    found += best.front().route == best_by_hand(set, row, vector) ? 1 : 0;
  }
  const double counted = static_cast<double>(found) / asked;
  CHECK(counted >= static_cast<double>(status.quality.recall) - 0.025);
  CHECK(counted >= 0.97);
}

TEST_CASE("vectors that lie nowhere are searched exactly, and the status says why") {
  const auto snapshot =
      snapshot_of(topical_routes(6, 100, 120, dimension, 0), index_settings(dimension));
  IndexBuilder builder;
  (void)finish(builder, *snapshot);
  const IndexStatus status = builder.status(*snapshot);
  CHECK(status.state == IndexState::rejected);
  CHECK(status.quality.recall < 0.99F);
  CHECK(status.quality.sampled == 1024);
  CHECK(status.reason.find("recall@1 is 0.") == 0);
  CHECK(snapshot->index == nullptr);
  CHECK_FALSE(builder.step(*snapshot));  // once is enough for the same vectors
  // Who asks for less may get it.
  snapshot->settings.router.index_recall_e4 = 5000;
  (void)finish(builder, *snapshot);
  CHECK(builder.status(*snapshot).state == IndexState::ready);
  CHECK(builder.status(*snapshot).quality.recall_at_least >= 0.5F);
}

TEST_CASE("no index without need") {
  IndexBuilder builder;
  auto few = snapshot_of(topical_routes(1, 10, 20, dimension), index_settings(dimension));
  CHECK_FALSE(builder.step(*few));
  CHECK(builder.status(*few).state == IndexState::unneeded);
  auto centroids = snapshot_of(topical_routes(1, 100, 120, dimension),
                               index_settings(dimension, Aggregation::centroid));
  CHECK_FALSE(builder.step(*centroids));
  CHECK(builder.status(*centroids).reason == "the aggregation reads no utterance");
  auto off = snapshot_of(topical_routes(1, 100, 120, dimension), settings(dimension, "e"));
  CHECK_FALSE(builder.step(*off));
  CHECK(builder.status(*off).state == IndexState::off);
}

TEST_CASE("until it is ready every answer is the exact one") {
  const auto snapshot =
      snapshot_of(topical_routes(8, 120, 100, dimension), index_settings(dimension));
  IndexBuilder builder;
  std::size_t steps = 0;
  double progress = 0;
  while (builder.step(*snapshot)) {
    ++steps;
    const IndexStatus status = builder.status(*snapshot);
    if (builder.view_for(*snapshot) != nullptr) break;
    CHECK(status.state == IndexState::building);
    CHECK(status.progress >= progress);
    progress = status.progress;
  }
  CHECK(steps > 20);
  CHECK(builder.take_news());
  CHECK_FALSE(builder.take_news());
  CHECK(builder.status(*snapshot).state == IndexState::ready);
}

TEST_CASE("edits are found at once, and are put into lists when they are many") {
  auto routes = topical_routes(9, 240, 60, dimension);
  const auto snapshot = snapshot_of(routes, index_settings(dimension));
  IndexBuilder builder;
  (void)finish(builder, *snapshot);
  REQUIRE(snapshot->index != nullptr);
  std::vector<std::shared_ptr<const RouteBlock>> blocks = snapshot->set->routes;
  const auto ask = [&](const std::vector<float>& vector) {
    Matrix query(1, dimension);
    REQUIRE(normalise(vector, query.row(0)));
    QuantisedQuery codes;
    codes.set(query.row(0));
    QuerySignals signals;
    signals.vector = query.data();
    signals.codes = codes.view();
    signals.coarse = codes.coarse();
    Searcher searcher;
    searcher.scan(*snapshot->set, snapshot->scoring, {&signals, 1}, snapshot->index.get());
    searcher.select(0);
    return snapshot->set->routes[searcher.best(snapshot->calibration, 1).front().route]->id;
  };
  const auto publish = [&] {
    snapshot->set = build_route_set(blocks, dimension, snapshot->set.get());
    snapshot->index = builder.view_for(*snapshot);
  };
  std::mt19937 random(4);
  RouteDefinition fresh = topical_routes(1000, 1, 5, dimension, 1, 0.2F)[0];
  fresh.id = "a-new-one";
  const std::vector<float> middle = fresh.utterances[0].embedding;
  blocks.insert(blocks.begin(), build_route(fresh, dimension));
  publish();
  REQUIRE(snapshot->index != nullptr);
  CHECK(snapshot->index->tail_rows > 0);
  CHECK(builder.status(*snapshot).outside == snapshot->index->tail_rows);
  CHECK(ask(middle) == "a-new-one");
  blocks.erase(blocks.begin());
  publish();
  CHECK(ask(middle) != "a-new-one");
  // An edit here and there, until most segments have been made anew.
  for (std::size_t r = 0; r < blocks.size(); r += 12) {
    const Utterance more[] = {{"", random_vector(random, dimension), "e"}};
    blocks[r] = append_utterances(*blocks[r], more, dimension);
    publish();
  }
  CHECK(snapshot->index->tail_rows > 8000);
  const std::size_t steps = finish(builder, *snapshot);
  CHECK(steps < 12);  // neither trained nor measured again
  REQUIRE(snapshot->index != nullptr);
  CHECK(snapshot->index->tail_rows == 0);
  CHECK(snapshot->index->gone_rows == 0);
}

TEST_CASE("an image restores the lists; routes that changed since stay outside") {
  auto routes = topical_routes(10, 200, 60, dimension);
  const auto first = snapshot_of(routes, index_settings(dimension));
  IndexBuilder builder;
  (void)finish(builder, *first);
  REQUIRE(first->index != nullptr);
  auto image = builder.take_image(*first->set);
  REQUIRE(image);
  CHECK_FALSE(builder.take_image(*first->set));
  CHECK(image->lists.size() == 12'000);

  routes[3].utterances.pop_back();
  const auto second = snapshot_of(routes, index_settings(dimension));
  IndexBuilder next;
  REQUIRE(next.restore(*image, *second));
  const auto view = next.view_for(*second);
  REQUIRE(view != nullptr);
  CHECK(view->tail_rows > 0);
  CHECK(view->tail_rows < 6000);
  CHECK(next.status(*second).quality.recall == builder.status(*first).quality.recall);
  CHECK_FALSE(next.take_image(*second->set));

  const auto other = snapshot_of(topical_routes(11, 200, 60, dimension), index_settings(dimension));
  IndexBuilder stranger;
  CHECK_FALSE(stranger.restore(*image, *other));
  CHECK(stranger.view_for(*other) == nullptr);
}

TEST_CASE("a lower bound of recall is what the textbook says") {
  CHECK(recall_bound(1024, 1024) == doctest::Approx(0.99736).epsilon(1e-4));
  CHECK(recall_bound(1019, 1024) > 0.99);
  CHECK(recall_bound(1018, 1024) < 0.99);
  CHECK(recall_bound(0, 10) == doctest::Approx(0).epsilon(1e-9));
}
