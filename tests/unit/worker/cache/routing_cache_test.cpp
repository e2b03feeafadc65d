#include "worker/cache/routing_cache.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/unit/worker/cache/same_decision.h"
#include "tests/unit/worker/router/fixtures.h"

using namespace tenantd;
using fixtures::settings;
using fixtures::text_route;

namespace routing_cache_test {
namespace {

constexpr std::uint32_t dimension = 64;
constexpr RoutingCache::Bounds exact{{1U << 20U, 1000}, 1};
constexpr RoutingCache::Bounds lenient{{1U << 20U, 1000}, 0.98F};

std::vector<RouteDefinition> help_desk() {
  return {text_route("billing", {"I was charged twice", "refund the wrong payment"}, dimension),
          text_route("password", {"I forgot my password", "cannot log in"}, dimension),
          text_route("shipping", {"where is my parcel", "the delivery is late"}, dimension)};
}

struct Desk {
  TenantBinding acme = fixtures::binding("acme");
  TenantRouter router;
  RoutingCache cache;
  explicit Desk(RoutingCache::Bounds bounds = exact,
                const std::vector<RouteDefinition>& routes = help_desk())
      : router(TenantId::parse("acme").value(), fixtures::snapshot(routes, settings(dimension))),
        cache(TenantId::parse("acme").value(), bounds) {}
  RouteDecision ask(const RouteQuery& query) {
    auto decision = cache.route(acme.context(), router, query);
    REQUIRE(decision);
    return std::move(*decision);
  }
  RouteDecision ask(std::string_view text) {
    RouteQuery query;
    query.text = text;
    return ask(query);
  }
  RoutingCache::Stats stats() { return cache.stats(acme.context()).value(); }
};

std::vector<float> near(const std::vector<float>& vector, float step) {
  std::vector<float> moved = vector;
  moved[0] += step;
  return moved;
}

}  // namespace

TEST_CASE("the same query has the same answer, and says that it was remembered") {
  Desk desk;
  const RouteDecision first = desk.ask("I forgot my password");
  CHECK(first.source == DecisionSource::computed);
  CHECK(first.route == "password");
  const RouteDecision again = desk.ask("I forgot my password");
  CHECK(again.source == DecisionSource::cached);
  CHECK(again.source_similarity == 1);
  CHECK(same_decision(first, again));
  CHECK(desk.ask("I forgot my Password").source == DecisionSource::computed);
  RouteQuery query;
  query.text = "I forgot my password";
  query.alternatives_limit = 2;
  CHECK(desk.ask(query).source == DecisionSource::computed);  // other options
  CHECK(desk.ask(query).alternatives.size() == 2);
  CHECK(desk.stats().counts.hits == 2);
  CHECK(desk.stats().entries == 3);
}

TEST_CASE("what wants an explanation is computed, and errors are not remembered") {
  Desk desk;
  RouteQuery query;
  query.text = "I forgot my password";
  query.explain = true;
  for (int i = 0; i < 2; ++i) {
    const RouteDecision decision = desk.ask(query);
    CHECK(decision.source == DecisionSource::computed);
    CHECK(decision.explanation.has_value());
  }
  const std::vector<float> wrong(3, 1.0F);
  RouteQuery bad;
  bad.embedding = wrong;
  for (int i = 0; i < 2; ++i) {
    const auto decision = desk.cache.route(desk.acme.context(), desk.router, bad);
    REQUIRE_FALSE(decision);
    CHECK(decision.error().code == ErrorCode::wrong_dimension);
  }
  CHECK(desk.stats().entries == 0);
  const std::string text(40'000, 'w');  // too long to be remembered
  (void)desk.ask(text);
  CHECK(desk.ask(text).source == DecisionSource::computed);
}

TEST_CASE("another state of the router begins anew, also with the same version") {
  Desk desk;
  (void)desk.ask("where is my parcel");
  REQUIRE(desk.stats().entries == 1);
  TenantSettings strict = settings(dimension);
  strict.router.threshold = 1;  // a setting, not a route: the version stays
  REQUIRE(desk.router.publish(desk.acme.context(), fixtures::snapshot(help_desk(), strict)));
  const RouteDecision after = desk.ask("where is my parcel");
  CHECK(after.source == DecisionSource::computed);
  CHECK(after.snapshot_version == 1);
  CHECK(after.threshold == 1);
  CHECK(desk.stats().dropped == 1);
  CHECK(desk.ask("where is my parcel").source == DecisionSource::cached);
}

TEST_CASE("another tenant's context is refused") {
  Desk desk;
  (void)desk.ask("where is my parcel");
  const TenantBinding globex = fixtures::binding("globex");
  RouteQuery query;
  query.text = "where is my parcel";
  std::vector<Result<RouteDecision>> out;
  CHECK(desk.cache.route(globex.context(), desk.router, query).error().code ==
        ErrorCode::no_tenant);
  CHECK(desk.cache.route_batch(globex.context(), desk.router, {&query, 1}, out).error().code ==
        ErrorCode::no_tenant);
  CHECK(desk.cache.stats(globex.context()).error().code == ErrorCode::no_tenant);
  CHECK(desk.cache.set_bounds(globex.context(), exact).error().code == ErrorCode::no_tenant);
}

TEST_CASE("a vector near enough to another's has its answer, with the same options only") {
  Desk desk(lenient);
  std::mt19937 random(5);
  const std::vector<float> vector = fixtures::random_vector(random, dimension);
  const std::vector<float> close = near(vector, 0.5F);
  const std::vector<float> far = fixtures::random_vector(random, dimension);
  RouteQuery query;
  query.embedding = vector;
  query.embedding_encoder = "hash-v1";
  const RouteDecision first = desk.ask(query);
  query.embedding = close;
  const RouteDecision similar = desk.ask(query);
  CHECK(similar.source == DecisionSource::similar);
  CHECK(similar.source_similarity >= 0.98F);
  CHECK(similar.source_similarity < 1);
  CHECK(same_decision(first, similar));
  query.limit = 2;
  CHECK(desk.ask(query).source == DecisionSource::computed);
  query.limit = 1;
  query.embedding = far;
  CHECK(desk.ask(query).source == DecisionSource::computed);
  CHECK(desk.stats().similar_hits == 1);
  // Without the setting, and with one that is stricter.
  const std::vector<std::vector<float>> others = {near(vector, 0.6F), near(vector, 0.7F),
                                                  near(vector, 0.65F)};
  query.embedding = others[0];
  REQUIRE(desk.cache.set_bounds(desk.acme.context(), exact));
  CHECK(desk.ask(query).source == DecisionSource::computed);
  REQUIRE(desk.cache.set_bounds(desk.acme.context(), lenient));
  query.embedding = others[1];
  CHECK(desk.ask(query).source == DecisionSource::computed);  // what was known has been forgotten
  query.embedding = others[2];
  CHECK(desk.ask(query).source == DecisionSource::similar);
}

TEST_CASE("what resembles is forgotten with the routes") {
  Desk desk(lenient);
  std::mt19937 random(6);
  const std::vector<float> vector = fixtures::random_vector(random, dimension);
  const std::vector<float> close = near(vector, 0.1F);
  RouteQuery query;
  query.embedding = vector;
  query.embedding_encoder = "hash-v1";
  (void)desk.ask(query);
  REQUIRE(desk.router.publish(desk.acme.context(),
                              fixtures::snapshot(help_desk(), settings(dimension))));
  query.embedding = close;
  CHECK(desk.ask(query).source == DecisionSource::computed);
}

TEST_CASE("texts are never answered with others' where routes have rules") {
  auto routes = help_desk();
  routes[0].rules = {{RuleKind::keyword, RuleMode::always, "lawyer"}};
  for (const bool has_rules : {false, true}) {
    Desk desk(lenient, has_rules ? routes : help_desk());
    (void)desk.ask("where is my parcel?");  // the same words
    const RouteDecision decision = desk.ask("where is my parcel");
    CHECK((decision.source == DecisionSource::similar) == !has_rules);
  }
}

TEST_CASE("the newest 256 vectors are kept, within the bound") {
  RoutingCache::Bounds bounds = lenient;
  bounds.all.max_bytes = 100'000;
  Desk desk(bounds);
  std::mt19937 random(8);
  RouteQuery query;
  query.embedding_encoder = "hash-v1";
  for (int i = 0; i < 1000; ++i) {
    const auto vector = fixtures::random_vector(random, dimension);
    query.embedding = vector;
    (void)desk.ask(query);
    REQUIRE(desk.stats().bytes <= bounds.all.max_bytes);
  }
  CHECK(desk.stats().similar_entries > 10);
  CHECK(desk.stats().similar_entries < 25);
  // None came twice.
  CHECK(desk.stats().counts.evictions == 0);
  CHECK(desk.stats().entries > 50);
}

TEST_CASE("what is asked once does not push out what is asked again") {
  RoutingCache::Bounds bounds = exact;
  bounds.all.max_entries = 4;
  Desk desk(bounds);
  for (const char* text : {"one", "two", "three", "four"}) (void)desk.ask(text);
  for (int i = 0; i < 100; ++i) (void)desk.ask("once " + std::to_string(i));
  CHECK(desk.stats().counts.evictions == 0);
  CHECK(desk.ask("one").source == DecisionSource::cached);
  CHECK(desk.ask("more").source == DecisionSource::computed);
  CHECK(desk.ask("more").source == DecisionSource::computed);  // seen: now it is kept
  CHECK(desk.ask("more").source == DecisionSource::cached);
  CHECK(desk.stats().counts.evictions == 1);
  CHECK(desk.ask("one").source == DecisionSource::cached);  // used after "two"
}

TEST_CASE("with a cache every answer is the router's, through edits, settings and batches") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  RoutingCache::Bounds bounds = exact;
  std::uint64_t hits = 0;
  for (int round = 0; round < 12; ++round) {
    bounds.all.max_entries = 1 + random() % 40;
    Desk desk(bounds);
    TenantRouter plain(TenantId::parse("acme").value(),
                       fixtures::snapshot(help_desk(), settings(dimension)));
    std::vector<std::vector<float>> vectors;
    for (int i = 0; i < 8; ++i) vectors.push_back(fixtures::random_vector(random, dimension));
    const std::vector<std::string> texts = {"refund the payment", "I forgot my password", "parcel",
                                            "late", "nothing of that kind"};
    const std::vector<std::string_view> only = {"billing", "shipping"};
    const auto random_query = [&] {
      RouteQuery query;
      if (random() % 3 != 0) query.text = texts[random() % texts.size()];
      if (!query.text || random() % 3 == 0) {
        query.embedding = vectors[random() % vectors.size()];
        query.embedding_encoder = "hash-v1";
      }
      query.alternatives_limit = static_cast<std::uint32_t>(random() % 3);
      query.limit = static_cast<std::uint32_t>(random() % 3);
      query.explain = random() % 8 == 0;
      if (random() % 4 == 0) query.only_routes = only;
      return query;
    };
    for (int step = 0; step < 300; ++step) {
      CAPTURE(step);
      if (random() % 40 == 0) {
        auto routes = help_desk();
        routes.erase(routes.begin() + static_cast<std::ptrdiff_t>(random() % routes.size()));
        TenantSettings tenant = settings(dimension);
        tenant.router.threshold = static_cast<float>(random() % 10) / 10;
        REQUIRE(desk.router.publish(desk.acme.context(), fixtures::snapshot(routes, tenant)));
        REQUIRE(plain.publish(desk.acme.context(), fixtures::snapshot(routes, tenant)));
      }
      std::vector<RouteQuery> queries;
      for (std::size_t i = 1 + random() % 5; i > 0; --i) queries.push_back(random_query());
      std::vector<Result<RouteDecision>> answers;
      if (random() % 2 == 0) {
        REQUIRE(desk.cache.route_batch(desk.acme.context(), desk.router, queries, answers));
      } else {
        for (const RouteQuery& query : queries) {
          answers.push_back(desk.cache.route(desk.acme.context(), desk.router, query));
        }
      }
      REQUIRE(answers.size() == queries.size());
      for (std::size_t i = 0; i < queries.size(); ++i) {
        const auto expected = plain.route(desk.acme.context(), queries[i]);
        REQUIRE(answers[i].has_value() == expected.has_value());
        if (!expected) continue;
        REQUIRE(same_decision(*answers[i], *expected));
        REQUIRE(answers[i]->explanation.has_value() == expected->explanation.has_value());
      }
      REQUIRE(desk.stats().entries <= bounds.all.max_entries);
    }
    hits += desk.stats().counts.hits;
  }
  CHECK(hits > 100);
}

}  // namespace routing_cache_test
