#include <doctest/doctest.h>

#include "tests/unit/worker/router/index/index_fixtures.h"
#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/index_file.h"
#include "worker/store/index_keeper.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace index_test {

namespace {

constexpr std::uint32_t dimension = 24;

std::string index_path(const DataDirectory& directory) {
  return (directory.path() / "routes.index").string();
}

// One run of a worker's data.
struct Run {
  TenantBinding tenant{acme()};
  std::unique_ptr<TenantStore> store;
  std::optional<RouteEditor> editor;
  std::unique_ptr<TenantRouter> router;

  explicit Run(const DataDirectory& directory,
               const TenantSettings& wanted = index_settings(dimension)) {
    auto opened = open_store(directory);
    REQUIRE(opened);
    store = std::move(*opened);
    auto made = RouteEditor::open(tenant.context(), *store, wanted);
    REQUIRE(made);
    editor.emplace(std::move(*made));
    editor->keep_index(directory.path().string());
    router = editor->make_router(tenant.context());
  }
  void put(const std::vector<RouteDefinition>& routes) {
    std::vector<RouteEdit> edits;
    for (const RouteDefinition& route : routes) edits.push_back({RouteEditKind::put, route});
    REQUIRE(editor->apply(tenant.context(), edits));
  }
  [[nodiscard]] IndexStatus status() const { return editor->index_report()->get(); }
  // Steps until there is nothing to do.
  std::size_t build() {
    std::size_t steps = 0;
    for (;; ++steps) {
      const Result<bool> more = editor->improve_index(tenant.context());
      REQUIRE(more);
      if (!*more) return steps;
    }
  }
  [[nodiscard]] std::string ask(const std::vector<float>& vector) {
    RouteQuery query;
    query.embedding = vector;
    query.alternatives_limit = 1;
    auto decision = router->route(tenant.context(), query);
    REQUIRE(decision);
    return decision->is_fallback && !decision->alternatives.empty()
               ? decision->alternatives[0].route
               : decision->route;
  }
  [[nodiscard]] bool uses_index() const {
    return (*router->snapshot(tenant.context()))->index != nullptr;
  }
};

}  // namespace

TEST_CASE("an index is built beside queries and edits, and a restart does not build it again") {
  const DataDirectory directory;
  const auto routes = topical_routes(21, 200, 60, dimension, 3, 0.6F);
  float recall = 0;
  {
    Run run(directory);
    CHECK(run.status().state == IndexState::unneeded);
    run.put(routes);
    CHECK(run.status().state == IndexState::building);
    for (int i = 0; i < 5; ++i) {
      REQUIRE(run.editor->improve_index(run.tenant.context()));
      CHECK_FALSE(run.uses_index());
      CHECK(run.ask(routes[7].utterances[0].embedding) == routes[7].id);
    }
    RouteDefinition late = topical_routes(77, 1, 4, dimension, 1, 0.1F)[0];
    late.id = "late";
    run.put({late});
    CHECK(run.build() > 10);
    CHECK(run.status().state == IndexState::ready);
    CHECK(run.uses_index());
    CHECK(run.ask(late.utterances[0].embedding) == "late");
    recall = run.status().quality.recall;
  }
  {
    Run run(directory);
    CHECK(run.status().state == IndexState::ready);
    CHECK(run.uses_index());
    CHECK(run.status().quality.recall == recall);
    CHECK(run.status().outside == 0);
    CHECK(run.build() < 3);
    for (std::size_t r = 0; r < routes.size(); r += 20) {
      CHECK(run.ask(routes[r].utterances[3].embedding) == routes[r].id);
    }
    // An edit that no file knows of yet: what it did not touch is in its lists still.
    RouteDefinition newer = topical_routes(78, 1, 4, dimension, 1, 0.1F)[0];
    newer.id = "newer";
    run.put({newer});
  }
  Run run(directory);
  CHECK(run.status().state == IndexState::ready);
  CHECK(run.status().outside > 0);
  CHECK(run.build() < 3);
  CHECK(run.ask(topical_routes(78, 1, 4, dimension, 1, 0.1F)[0].utterances[0].embedding) ==
        "newer");
}

TEST_CASE("another setting takes an index away and brings it back, live") {
  const DataDirectory directory;
  Run run(directory);
  run.put(topical_routes(22, 200, 60, dimension, 3, 0.6F));
  (void)run.build();
  REQUIRE(run.uses_index());
  TenantSettings exact = index_settings(dimension);
  exact.router.index = VectorIndexKind::exact;
  REQUIRE(run.editor->apply_settings(run.tenant.context(), exact));
  CHECK_FALSE(run.uses_index());
  CHECK(run.status().state == IndexState::off);
  REQUIRE(run.editor->apply_settings(run.tenant.context(), index_settings(dimension)));
  CHECK(run.uses_index());
  // What was measured for one aggregation says nothing of another.
  REQUIRE(run.editor->apply_settings(run.tenant.context(),
                                     index_settings(dimension, Aggregation::max)));
  CHECK_FALSE(run.uses_index());
  CHECK(run.build() > 0);
  CHECK(run.status().state != IndexState::building);
}

TEST_CASE("a damaged index file costs a build and no answer") {
  const DataDirectory directory;
  const auto routes = topical_routes(23, 200, 60, dimension, 3, 0.6F);
  {
    Run run(directory);
    run.put(routes);
    (void)run.build();
    REQUIRE(run.uses_index());
  }
  const std::string path = index_path(directory);
  const std::string whole = read_bytes(path);
  std::mt19937 random(1);
  std::size_t refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = whole;
    if (round % 4 == 0) {
      damaged.resize(random() % whole.size());
    } else {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 + random() % 255);
    }
    write_bytes(path, damaged);
    refused += read_index_file(path) ? 0 : 1;
  }
  CHECK(refused > 20);  // bytes between sections mean nothing
  std::string damaged = whole;
  damaged[5000] ^= 1;  // a centroid's section begins on the second page after the header's
  damaged.resize(damaged.size() / 2);
  write_bytes(path, damaged);
  Run run(directory);
  CHECK(run.status().state == IndexState::building);
  CHECK(run.ask(routes[9].utterances[1].embedding) == routes[9].id);
  CHECK(run.build() > 10);
  CHECK(run.status().state == IndexState::ready);
  CHECK(read_index_file(path));
}

TEST_CASE("floats move into a file and stay what they were, also where chunks come and go") {
  const DataDirectory directory;
  auto opened = VectorVault::open((directory.path() / "routes.vectors").string());
  REQUIRE(opened);
  VectorVault vault = std::move(*opened);
  constexpr std::uint32_t wide = 256;
  std::vector<std::shared_ptr<const RouteBlock>> blocks;
  for (const RouteDefinition& route : topical_routes(31, 12, 300, wide)) {
    blocks.push_back(build_route(route, wide));
  }
  auto set = build_route_set(blocks, wide);
  const auto copy_of = [&](std::size_t route) {
    const float* first = set->routes[route]->vector_of(0);
    return std::vector<float>(first, first + 300 * wide);
  };
  std::vector<std::vector<float>> before;
  for (std::size_t r = 0; r < blocks.size(); ++r) before.push_back(copy_of(r));
  const std::size_t all = vault.movable_bytes(*set);
  CHECK(all >= 12 * 300 * wide * sizeof(float));
  std::size_t steps = 1;
  while (vault.move_some(*set, all / 4)) ++steps;
  CHECK(steps >= 4);
  CHECK(vault.movable_bytes(*set) == 0);
  CHECK(vault.file_bytes() == all);
  for (std::size_t r = 0; r < blocks.size(); ++r) CHECK(copy_of(r) == before[r]);
  // Half of the routes go: what comes in their place takes their room.
  for (std::size_t r = 0; r < 6; ++r) blocks[r].reset();
  set.reset();
  const auto others = topical_routes(32, 6, 300, wide);
  for (std::size_t r = 0; r < 6; ++r) blocks[r] = build_route(others[r], wide);
  set = build_route_set(blocks, wide);
  for (std::size_t r = 0; r < 6; ++r) before[r] = copy_of(r);
  CHECK_FALSE(vault.move_some(*set, all));
  CHECK(vault.file_bytes() == all);
  for (std::size_t r = 0; r < blocks.size(); ++r) CHECK(copy_of(r) == before[r]);
}

}  // namespace index_test
