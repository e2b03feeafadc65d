#include "worker/store/route_editor.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include <limits>
#include <map>

#include "tests/unit/worker/store/same_answers.h"
#include "tests/unit/worker/store/store_fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace route_editor_test {

namespace {

constexpr std::uint32_t dimension = 32;
const TenantBinding tenant(acme());

struct Bench {
  explicit Bench(const TenantSettings& wanted = settings(dimension, "potion"))
      : store(open_store(directory).value()),
        editor(RouteEditor::open(tenant.context(), *store, wanted).value()),
        router(editor.make_router(tenant.context())) {}
  Result<EditOutcome> edit(RouteEditKind kind, RouteDefinition route) {
    RouteEdit one{kind, std::move(route)};
    return editor.apply(tenant.context(), std::span(&one, 1));
  }
  SnapshotPtr now() { return router->snapshot(tenant.context()).value(); }

  DataDirectory directory;
  std::unique_ptr<TenantStore> store;
  RouteEditor editor;
  std::unique_ptr<TenantRouter> router;
};

RouteDefinition text_only(std::string id, std::vector<std::string> texts) {
  RouteDefinition route;
  route.id = std::move(id);
  for (std::string& text : texts) route.utterances.push_back({std::move(text), {}, {}});
  return route;
}

}  // namespace

TEST_CASE("after any edits the router answers as one built from scratch and as one restarted") {
  std::mt19937 random(21);
  Bench bench;
  std::map<std::string, RouteDefinition> model;
  for (unsigned step = 0; step < 120; ++step) {
    const std::string id = std::to_string(100 + random() % 12);
    const auto kind = static_cast<RouteEditKind>(random() % 4);
    RouteDefinition route = sample_route(id, dimension, 1 + random() % 5, step);
    const bool exists = model.contains(id);
    const auto outcome = bench.edit(kind, route);
    const bool needs = kind == RouteEditKind::add_utterances || kind == RouteEditKind::remove;
    CHECK(outcome.has_value() == (kind == RouteEditKind::put || needs == exists));
    if (!outcome) continue;
    if (kind == RouteEditKind::remove) {
      model.erase(id);
    } else if (kind == RouteEditKind::add_utterances) {
      for (const auto& added : route.utterances) model[id].utterances.push_back(added);
    } else {
      model[id] = route;
    }
    CHECK(outcome->routes == model.size());
    CHECK(outcome->snapshot_version == bench.now()->version);
    if (step % 15 != 14) continue;
    std::vector<RouteDefinition> all;
    for (const auto& [key, value] : model) all.push_back(value);
    TenantRouter rebuilt(acme(), snapshot(all, settings(dimension, "potion")));
    check_same_answers(*bench.router, rebuilt, random);
  }
  const std::uint64_t version = bench.now()->version;
  auto running = std::move(bench.router);
  bench.store.reset();
  auto store = open_store(bench.directory).value();
  auto editor = RouteEditor::open(tenant.context(), *store, settings(dimension, "potion")).value();
  auto router = editor.make_router(tenant.context());
  check_same_answers(*running, *router, random);
  CHECK(router->snapshot(tenant.context()).value()->version == version);
}

TEST_CASE("rules that a tenant may not have are refused with a typed error and change nothing") {
  Bench bench;
  RouteDefinition route = sample_route("a", dimension, 1, 1);
  route.rules = {{RuleKind::pattern, RuleMode::always, "(unclosed"}};
  const auto broken = bench.edit(RouteEditKind::put, route);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == ErrorCode::invalid_argument);
  CHECK(broken.error().field == "route a: pattern");
  CHECK(broken.error().message.find("(unclosed") != std::string::npos);
  route.rules.assign(60, {RuleKind::pattern, RuleMode::signal, ""});
  for (std::size_t i = 0; i < route.rules.size(); ++i) {
    route.rules[i].text = "x{200}" + std::to_string(i);
  }
  const auto large = bench.edit(RouteEditKind::put, route);
  REQUIRE_FALSE(large);
  CHECK(large.error().code == ErrorCode::resource_exhausted);
  CHECK(bench.now()->set->routes.empty());
  route.rules.resize(15);
  REQUIRE(bench.edit(RouteEditKind::put, route));
  // Utterances that are added leave the rules as they are.
  const auto matcher = bench.now()->set->rules->matcher();
  REQUIRE(bench.edit(RouteEditKind::add_utterances, sample_route("a", dimension, 1, 2)));
  CHECK(bench.now()->set->routes[0]->rules == route.rules);
  CHECK(bench.now()->set->rules->matcher() == matcher);
  // A change of the tenant's file changes what they weigh, at once.
  TenantSettings heavier = settings(dimension, "potion");
  heavier.router.rule_weight = 3;
  heavier.router.margin_e4 = 100;
  REQUIRE(bench.editor.apply_settings(tenant.context(), heavier));
  CHECK(bench.now()->settings.router.rule_weight == 3);
  CHECK(bench.now()->scoring.rule_weight == 3);
}

TEST_CASE("each bad edit has its typed error and changes nothing") {
  TenantSettings limited = settings(dimension, "potion");
  limited.max_routes = 2;
  limited.max_embeddings = 6;
  Bench bench(limited);
  REQUIRE(bench.edit(RouteEditKind::add, sample_route("a", dimension, 2, 1)));
  const auto code = [&](RouteEditKind kind, RouteDefinition route) {
    const auto outcome = bench.edit(kind, std::move(route));
    REQUIRE_FALSE(outcome.has_value());
    return outcome.error().code;
  };
  const auto changed = [](auto change) {
    RouteDefinition route = sample_route("b", dimension, 2, 2);
    change(route);
    return route;
  };
  CHECK(code(RouteEditKind::add, sample_route("a", dimension, 2, 1)) == ErrorCode::already_exists);
  CHECK(code(RouteEditKind::remove, sample_route("x", dimension, 1, 1)) == ErrorCode::not_found);
  CHECK(code(RouteEditKind::add_utterances, sample_route("x", dimension, 1, 1)) ==
        ErrorCode::not_found);
  CHECK(code(RouteEditKind::put, sample_route("", dimension, 1, 1)) == ErrorCode::invalid_argument);
  CHECK(code(RouteEditKind::put, sample_route("b", dimension, 0, 1)) ==
        ErrorCode::invalid_argument);
  CHECK(code(RouteEditKind::add_utterances, sample_route("a", dimension, 0, 1)) ==
        ErrorCode::invalid_argument);
  CHECK(code(RouteEditKind::put, sample_route("b", dimension + 1, 1, 1)) ==
        ErrorCode::wrong_dimension);
  CHECK(code(RouteEditKind::put, changed([](auto& r) {
               r.utterances[1].embedding[3] = std::numeric_limits<float>::quiet_NaN();
             })) == ErrorCode::invalid_vector);
  CHECK(code(RouteEditKind::put, changed([](auto& r) {
               r.utterances[1].embedding.assign(dimension, 0.0F);
             })) == ErrorCode::invalid_vector);
  CHECK(code(RouteEditKind::put, changed([](auto& r) { r.utterances[0].encoder = "other"; })) ==
        ErrorCode::encoder_mismatch);
  CHECK(code(RouteEditKind::put, text_only("b", {"a text alone"})) ==
        ErrorCode::encoder_unavailable);
  CHECK(code(RouteEditKind::put, sample_route("b", dimension, 5, 1)) ==
        ErrorCode::resource_exhausted);
  CHECK(code(RouteEditKind::add_utterances, sample_route("a", dimension, 5, 1)) ==
        ErrorCode::resource_exhausted);
  CHECK(bench.edit(RouteEditKind::add, sample_route("b", dimension, 2, 1)));
  CHECK(code(RouteEditKind::add, sample_route("c", dimension, 1, 1)) ==
        ErrorCode::resource_exhausted);
  CHECK(bench.editor.apply(tenant.context(), {}).error().code == ErrorCode::invalid_argument);
  RouteEdit edit{RouteEditKind::remove, sample_route("a", dimension, 1, 1)};
  CHECK(bench.editor.apply(binding("globex").context(), std::span(&edit, 1)).error().code ==
        ErrorCode::no_tenant);
  CHECK(load_all(*bench.store)->size() == 2);
  CHECK(bench.now()->set->routes.size() == 2);
}

TEST_CASE("the built-in encoder fills in vectors, which a restart reads and does not make") {
  Bench bench(settings(dimension));
  REQUIRE(bench.edit(RouteEditKind::add, text_only("parcel", {"where is my parcel"})));
  CHECK(bench.edit(RouteEditKind::add, text_only("dots", {"..."})).error().code ==
        ErrorCode::invalid_argument);
  const auto stored = load_all(*bench.store).value();
  REQUIRE(stored.size() == 1);
  CHECK(stored[0].utterances[0].encoder == "hash-v1");
  CHECK(stored[0].utterances[0].embedding.size() == dimension);
  RouteQuery query;
  query.text = "Where is my parcel?";
  CHECK(bench.router->route(tenant.context(), query)->route == "parcel");
  // A client's own vector of the same encoder is taken as it is; another's is refused.
  RouteDefinition own = sample_route("own", dimension, 1, 1);
  CHECK(bench.edit(RouteEditKind::add, own).error().code == ErrorCode::encoder_mismatch);
  own.utterances[0].encoder = "hash";
  CHECK(bench.edit(RouteEditKind::add, own));
}

TEST_CASE("settings change live and vectors stay where they are") {
  Bench bench;
  REQUIRE(bench.edit(RouteEditKind::add, sample_route("a", dimension, 3, 1)));
  REQUIRE(bench.edit(RouteEditKind::add, sample_route("b", dimension, 3, 3)));
  const auto set = bench.now()->set;
  TenantSettings next = settings(dimension, "potion");
  next.router.threshold = 1.0F;
  (void)next.router.fallback_route.assign("elsewhere");
  REQUIRE(bench.editor.apply_settings(tenant.context(), next));
  std::mt19937 random(4);
  const auto vector = random_vector(random, dimension);
  RouteQuery query;
  query.embedding = vector;
  CHECK(bench.router->route(tenant.context(), query)->route == "elsewhere");
  next.router.threshold = 0.0F;
  next.router.aggregation = Aggregation::centroid;
  REQUIRE(bench.editor.apply_settings(tenant.context(), next));
  CHECK_FALSE(bench.router->route(tenant.context(), query)->is_fallback);
  CHECK(bench.now()->set == set);
  next.router.dimension = 64;
  CHECK(bench.editor.apply_settings(tenant.context(), next).error().code == ErrorCode::unsupported);
  next = settings(dimension, "other");
  CHECK(bench.editor.apply_settings(tenant.context(), next).error().code == ErrorCode::unsupported);
  bench.router.reset();
  bench.store.reset();
  auto store = open_store(bench.directory).value();
  CHECK(RouteEditor::open(tenant.context(), *store, settings(64, "potion")).error().code ==
        ErrorCode::wrong_dimension);
}

TEST_CASE("large sets are recalibrated when they grew, and when asked to settle") {
  Bench bench(settings(dimension, "potion"));
  for (unsigned i = 0; i < 12; ++i) {
    REQUIRE(
        bench.edit(RouteEditKind::add, sample_route(std::to_string(100 + i), dimension, 50, i)));
  }
  REQUIRE(bench.editor.settle(tenant.context()));
  const Calibration fitted = bench.now()->calibration;
  CHECK(fitted.fitted_utterances == 600);
  REQUIRE(bench.edit(RouteEditKind::add, sample_route("900", dimension, 20, 99)));
  CHECK(bench.now()->calibration == fitted);
  CHECK(bench.editor.settle(tenant.context()).value());
  CHECK(bench.now()->calibration.fitted_utterances == 620);
  CHECK_FALSE(bench.editor.settle(tenant.context()).value());
}

TEST_CASE("batches that wait together are one transaction, each all or none") {
  Bench bench;
  const std::uint64_t before = bench.now()->version;
  const auto put = [](std::string id, unsigned seed) {
    return RouteEdit{RouteEditKind::put, sample_route(std::move(id), dimension, 3, seed)};
  };
  std::vector<std::vector<RouteEdit>> batches(5);
  batches[0] = {put("a", 1), put("b", 2)};
  batches[1] = {put("never", 3), {RouteEditKind::remove, text_only("missing", {})}};
  batches[2] = {{RouteEditKind::add_utterances, sample_route("a", dimension, 2, 4)}};
  batches[3] = {};
  batches[4] = {{RouteEditKind::remove, text_only("b", {})}, put("c", 5)};
  const auto outcomes = bench.editor.apply_all(tenant.context(), batches);
  REQUIRE(outcomes.size() == 5);
  CHECK(outcomes[1].error().code == ErrorCode::not_found);
  CHECK(outcomes[3].error().code == ErrorCode::invalid_argument);
  for (const std::size_t good : {0U, 2U, 4U}) {
    REQUIRE(outcomes[good]);
    CHECK(outcomes[good]->snapshot_version == before + 1);
    CHECK(outcomes[good]->routes == 2);
  }
  const SnapshotPtr now = bench.now();
  CHECK(now->version == before + 1);
  REQUIRE(now->set->routes.size() == 2);
  CHECK(now->set->routes[0]->utterance_count == 5);
  CHECK(now->set->routes[1]->id == "c");
  const auto stored = load_all(*bench.store);
  REQUIRE(stored);
  REQUIRE(stored->size() == 2);
  CHECK((*stored)[0].utterances.size() == 5);
}

TEST_CASE("a batch that cannot be stored with the others does not take them along") {
  Bench bench;
  std::vector<std::vector<RouteEdit>> batches(3);
  for (unsigned b = 0; b < 3; ++b) {
    batches[b] = {{RouteEditKind::put, sample_route(std::to_string(b), dimension, 3, b)}};
  }
  for (Utterance& utterance : batches[1][0].route.utterances) utterance.encoder = "other";
  const auto outcomes = bench.editor.apply_all(tenant.context(), batches);
  CHECK(outcomes[0]);
  CHECK(outcomes[1].error().code == ErrorCode::encoder_mismatch);
  CHECK(outcomes[2]);
  CHECK(bench.now()->set->routes.size() == 2);
  CHECK(load_all(*bench.store)->size() == 2);
}

TEST_CASE("edits are refused before memory is short, and removals are not") {
  Bench bench;
  constexpr std::uint64_t memory_max = 16U << 20U;
  bench.editor.limit_memory(memory_for_routes(memory_max));
  [[maybe_unused]] const std::size_t heap_before = ::mallinfo2().uordblks + ::mallinfo2().hblkhd;
  Result<EditOutcome> outcome = EditOutcome{};
  std::size_t added = 0;
  for (unsigned i = 0; outcome && i < 100; ++i) {
    outcome =
        bench.edit(RouteEditKind::add, sample_route(std::to_string(1000 + i), dimension, 1000, i));
    if (outcome) ++added;
  }
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == ErrorCode::resource_exhausted);
  CHECK(outcome.error().field == "resources.memory_max");
  CHECK(bench.now()->set->routes.size() == added);
  CHECK(load_all(*bench.store)->size() == added);
  std::size_t counted = 0;
  for (const auto& route : bench.now()->set->routes) counted += route->memory_bytes();
  CHECK(counted <= memory_max);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // Beside what is counted: scratch of searches and the cache of the database.
  const std::size_t heap = ::mallinfo2().uordblks + ::mallinfo2().hblkhd - heap_before;
  MESSAGE("counted ", counted, " bytes, the heap grew by ", heap);
  CHECK(heap < memory_max);
  CHECK(heap > counted / 2);
#endif
  REQUIRE(bench.edit(RouteEditKind::remove, text_only("1000", {})));
  CHECK(bench.edit(RouteEditKind::add, sample_route("tiny", dimension, 1, 7)));
}

}  // namespace route_editor_test
