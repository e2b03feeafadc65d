// Decisions equal those of the slow, obvious router of reference.h, bit for bit: random routes with
// rules, tags, priorities, thresholds and exact ties; random filters, limits, margins; one by one,
// in batches, and after any edits (seeded).
#include "worker/router/decision.h"

#include <doctest/doctest.h>

#include "tests/unit/worker/router/reference.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace decision_test {

namespace {

constexpr std::uint32_t dimension = 48;

struct World {
  std::mt19937 random;
  bool hashes;  // texts alone have vectors
  TenantSettings tenant;
  std::vector<std::vector<float>> themes;

  explicit World(std::uint32_t seed)
      : random(seed), hashes(seed % 2 == 0), tenant(settings(dimension, hashes ? "hash" : "e")) {
    for (int i = 0; i < 4; ++i) themes.push_back(random_vector(random, dimension));
    RouterSettings& router = tenant.router;
    router.aggregation = static_cast<Aggregation>(random() % 6);
    router.top_k = pick<std::uint16_t>({1, 2, 3, 9});
    router.prototype_weight_e4 = pick<std::uint16_t>({0, 3333, 10000});
    router.dense_weight = pick<float>({0.7F, 0.7F, 1.0F, hashes ? 0.0F : 0.3F});
    router.lexical_weight = router.dense_weight > 0 ? pick<float>({0.0F, 0.3F, 1.0F}) : 1.0F;
    router.rule_weight = pick<float>({0.0F, 0.5F, 1.0F, 1.0F, 3.0F});
    router.threshold = pick<float>({0.0F, 0.2F, 0.5F, 0.9F});
    router.margin_e4 = pick<std::uint16_t>({0, 0, 1, 500, 3000, 10000});
  }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return *(values.begin() + random() % values.size());
  }
  std::string word() { return "word" + std::to_string(random() % (1U << (random() % 7))); }
  std::string text(std::size_t most) {
    std::string made;
    for (std::size_t n = 1 + random() % most; n > 0; --n) {
      made += pick<std::string>({"", "", "the ", "a "}) + word();
      made += pick<std::string>({" ", " ", ", ", "-"});
    }
    return made;
  }
  // What std::regex and RE2 understand alike.
  std::string pattern() {
    const std::string digit = std::to_string(random() % 10);
    switch (random() % 6) {
      case 0:
        return "word" + digit + "\\b";
      case 1:
        return "\\bword(" + digit + "|[12]" + digit + ")[,-]";
      case 2:
        return "^(the )?word" + digit;
      case 3:
        return "word[0-9]+ (a )?word" + digit + "+";
      case 4:
        return "(" + digit + ".*){3}";
      default:
        return digit + "[^0-9]*" + digit + "\\W$";
    }
  }
  Rule rule() {
    Rule made;
    made.kind = random() % 3 == 0 ? RuleKind::pattern : RuleKind::keyword;
    made.mode = pick<RuleMode>(
        {RuleMode::signal, RuleMode::signal, RuleMode::signal, RuleMode::always, RuleMode::never});
    made.text = made.kind == RuleKind::pattern ? pattern() : word();
    if (made.kind == RuleKind::keyword && random() % 3 == 0) made.text += " " + word();
    return made;
  }
  std::vector<float> vector() {
    std::vector<float> near = themes[random() % themes.size()];
    const float spread = pick<float>({0.0F, 1e-6F, 0.5F});
    const std::vector<float> noise = random_vector(random, dimension);
    for (std::size_t j = 0; j < near.size(); ++j) near[j] += spread * noise[j];
    return near;
  }
  Utterance utterance() {
    Utterance made;
    made.text = random() % 4 == 0 && !hashes ? "" : text(5);
    if (hashes) {
      made.encoder = HashEncoder::vector_id;
      made.embedding.resize(dimension);
      HashEncoder encoder(dimension);
      if (!encoder.encode(made.text, made.embedding)) std::abort();
    } else if (made.text.empty() || random() % 5 != 0) {
      made.encoder = "e";
      made.embedding = vector();
    }
    return made;
  }
  static bool can_be_found_by_rules(const RouteDefinition& route) {
    return std::ranges::any_of(route.rules,
                               [](const Rule& rule) { return rule.mode != RuleMode::never; });
  }
  RouteDefinition route(const std::string& id) {
    RouteDefinition made;
    made.id = id;
    if (random() % 8 == 0) made.aggregation = static_cast<Aggregation>(random() % 5);
    if (random() % 3 == 0) made.threshold = pick<float>({0.0F, 0.1F, 0.5F, 1.0F});
    if (random() % 3 == 0) made.margin = pick<float>({0.0F, 0.05F, 0.3F, 1.0F});
    if (random() % 3 == 0) made.priority = pick<std::int32_t>({-1, 1, 7});
    if (random() % 2 == 0) made.tags.push_back(pick<std::string>({"t1", "t2", "t3"}));
    if (random() % 4 == 0) made.tags.push_back("t4");
    if (random() % 3 != 0) {
      for (std::size_t n = random() % 4; n > 0; --n) made.rules.push_back(rule());
    }
    const bool rules_alone = can_be_found_by_rules(made) && random() % 6 == 0;
    for (std::size_t n = rules_alone ? 0 : 1 + random() % 6; n > 0; --n) {
      made.utterances.push_back(utterance());
    }
    return made;
  }
  std::vector<RouteDefinition> routes() {
    std::vector<RouteDefinition> made;
    for (std::size_t n = random() % 24; n > 0; --n) {
      const std::string id = std::to_string(100 + made.size());
      // An exact tie: the same utterances under another id.
      const bool is_twin = !made.empty() && random() % 4 == 0;
      RouteDefinition next = route(id);
      if (is_twin) next.utterances = made[random() % made.size()].utterances;
      if (next.utterances.empty() && !can_be_found_by_rules(next)) {
        next.utterances.push_back(utterance());
      }
      made.push_back(std::move(next));
    }
    return made;
  }
};

// A query with what its views point into.
struct Asked {
  std::string text;
  std::vector<float> vector;
  std::vector<std::string> ids;
  std::vector<std::string_view> only_routes;
  std::vector<std::string_view> only_tags;
  RouteQuery query;
};

void make_query(World& world, Asked& asked) {
  asked.text = world.text(8);
  RouteQuery& query = asked.query;
  const bool by_vector =
      world.tenant.router.dense_weight > 0 && (!world.hashes || world.random() % 3 == 0);
  if (by_vector) {
    asked.vector = world.vector();
    query.embedding = asked.vector;
  }
  if (!by_vector || world.random() % 4 != 0) query.text = asked.text;
  query.limit = world.pick<std::uint32_t>({0, 1, 1, 2, 3, 8, 100});
  query.alternatives_limit = world.pick<std::uint32_t>({0, 1, 3, 50});
  query.explain = world.random() % 2 == 0;
  if (world.random() % 4 == 0) {
    for (std::size_t n = 1 + world.random() % 4; n > 0; --n) {
      asked.ids.push_back(std::to_string(98 + world.random() % 26));  // some unknown
    }
    asked.only_routes.assign(asked.ids.begin(), asked.ids.end());
  }
  if (world.random() % 4 == 0) {
    asked.only_tags = {world.pick<std::string_view>({"t1", "t2", "t4", "unknown"}), "t3"};
    asked.only_tags.resize(1 + world.random() % 2);
  }
  query.only_routes = asked.only_routes;
  query.only_tags = asked.only_tags;
}

bool same(const RouteScores& a, const RouteScores& b) {
  return a.dense == b.dense && a.lexical == b.lexical && a.fused == b.fused && a.rules == b.rules;
}

void check_same(const std::vector<Alternative>& got, const std::vector<Alternative>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i].route == expected[i].route);
    CHECK(got[i].confidence == expected[i].confidence);
    CHECK(same(got[i].scores, expected[i].scores));
  }
}

void check_same(const RouteDecision& got, const RouteDecision& expected) {
  REQUIRE(got.reason == expected.reason);
  CHECK(got.route == expected.route);
  CHECK(got.confidence == expected.confidence);
  CHECK(got.is_fallback == expected.is_fallback);
  CHECK(got.threshold == expected.threshold);
  CHECK(same(got.scores, expected.scores));
  check_same(got.also, expected.also);
  check_same(got.alternatives, expected.alternatives);
}

struct Seen {
  std::array<std::size_t, 6> reasons{};
  std::size_t several = 0;
  std::size_t selected = 0;
};

void check_decisions(World& world, const std::vector<RouteDefinition>& routes,
                     const SnapshotPtr& current, std::size_t count, Seen& seen) {
  TenantRouter router(TenantId::parse("acme").value(), current);
  const TenantBinding acme = binding("acme");
  Reference reference(routes, *current);
  std::vector<Asked> asked(count);
  std::vector<RouteQuery> queries;
  std::vector<RouteDecision> expected;
  for (Asked& one : asked) {
    make_query(world, one);
    queries.push_back(one.query);
    expected.push_back(reference.route(one.query));
    const auto got = router.route(acme.context(), one.query);
    REQUIRE(got);
    CAPTURE(one.text);
    check_same(*got, expected.back());
    ++seen.reasons[static_cast<std::size_t>(got->reason)];
    if (!got->also.empty()) ++seen.several;
    if (got->explanation && !got->explanation->rules.empty()) ++seen.selected;
  }
  std::vector<Result<RouteDecision>> together;
  REQUIRE(router.route_batch(acme.context(), queries, together));
  REQUIRE(together.size() == count);
  for (std::size_t i = 0; i < count; ++i) {
    REQUIRE(together[i]);
    check_same(*together[i], expected[i]);
  }
}

}  // namespace

TEST_CASE("decisions equal the slow, obvious router's") {
  Seen seen;
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    World world(seed);
    const std::vector<RouteDefinition> routes = world.routes();
    for (const RouteDefinition& route : routes) REQUIRE(validate_route(route, dimension));
    check_decisions(world, routes, snapshot(routes, world.tenant), 16, seen);
  }
  // A generator that reaches only some of the branches proves little.
  for (const std::size_t count : seen.reasons) CHECK(count >= 8);
  CHECK(seen.several > 100);
  CHECK(seen.selected > 100);
}

TEST_CASE("after any edits decisions are those of the reference, and unchanged rules are shared") {
  Seen seen;
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    World world(500 + seed);
    std::vector<RouteDefinition> routes = world.routes();
    auto edited = snapshot(routes, world.tenant)->set;
    for (int step = 0; step < 20; ++step) {
      std::vector<std::shared_ptr<const RouteBlock>> blocks = edited->routes;
      const std::string id = std::to_string(100 + world.random() % 30);
      const auto place = std::ranges::lower_bound(routes, id, {}, &RouteDefinition::id);
      const auto index = static_cast<std::size_t>(place - routes.begin());
      const bool exists = place != routes.end() && place->id == id;
      bool keeps_rules = false;
      if (exists && world.random() % 4 == 0) {
        keeps_rules = place->rules.empty();
        routes.erase(place);
        blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(index));
      } else if (exists && world.random() % 2 == 0) {
        const std::vector<Utterance> added{world.utterance()};
        place->utterances.push_back(added[0]);
        blocks[index] = append_utterances(*blocks[index], added, dimension);
        keeps_rules = true;
      } else {
        RouteDefinition made = world.route(id);
        auto block = build_route(made, dimension);
        if (exists) {
          routes[index] = std::move(made);
          blocks[index] = std::move(block);
        } else {
          routes.insert(place, std::move(made));
          blocks.insert(blocks.begin() + static_cast<std::ptrdiff_t>(index), std::move(block));
        }
      }
      const auto next = build_route_set(std::move(blocks), dimension, edited.get());
      if (keeps_rules && edited->rules != nullptr) {
        REQUIRE(next->rules != nullptr);
        CHECK(next->rules->matcher() == edited->rules->matcher());
      }
      edited = next;
      auto current = std::make_shared<RouteSnapshot>(*snapshot(routes, world.tenant));
      current->set = edited;
      check_decisions(world, routes, current, 6, seen);
    }
  }
}

}  // namespace decision_test
