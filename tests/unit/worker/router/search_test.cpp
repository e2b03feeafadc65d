// Searching equals scoring every route and sorting: same routes, same order, same bits. From random
// routes with near ties, for all aggregations, signals, batches, kernels and edits (seeded).
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/dot.h"
#include "worker/router/scorer.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace search_test {

namespace {

constexpr std::uint32_t dimension = 48;

struct World {
  std::mt19937 random;
  std::vector<std::vector<float>> themes;  // vectors crowd round these
  TenantSettings tenant = settings(dimension, "e");

  explicit World(std::uint32_t seed) : random(seed) {
    for (int i = 0; i < 4; ++i) themes.push_back(random_vector(random, dimension));
    tenant.router.aggregation = static_cast<Aggregation>(random() % 6);
    tenant.router.prototype_weight_e4 = static_cast<std::uint16_t>(random() % 3 * 3333);
    constexpr std::uint16_t ks[] = {1, 2, 3, 5, 9, 40};
    tenant.router.top_k = ks[random() % 6];
    constexpr float weights[] = {0.0F, 0.3F, 0.7F, 1.0F};
    tenant.router.dense_weight = weights[random() % 4];
    tenant.router.lexical_weight = weights[random() % 4];
    if (tenant.router.dense_weight + tenant.router.lexical_weight <= 0) {
      tenant.router.dense_weight = 0.7F;
    }
  }
  std::string text() {
    std::string words;
    const std::size_t count = random() % 9;
    for (std::size_t i = 0; i < count; ++i) {
      words += "word" + std::to_string(random() % (1U << (random() % 8))) + ' ';
      if (random() % 4 == 0) words += "the ";
    }
    return words;
  }
  std::vector<float> vector() {
    std::vector<float> near = themes[random() % themes.size()];
    const float spread = random() % 3 == 0 ? 0.0F : random() % 2 == 0 ? 1e-6F : 0.5F;
    const std::vector<float> noise = random_vector(random, dimension);
    for (std::size_t j = 0; j < near.size(); ++j) near[j] += spread * noise[j];
    if (random() % 5 == 0) near[random() % dimension] *= 1.0000001F;  // an ulp or none
    return near;
  }
  Utterance utterance() {
    const std::size_t kind = random() % 5;
    Utterance made;
    if (kind != 0) made.embedding = vector(), made.encoder = "e";
    if (kind != 1) made.text = text();
    if (made.embedding.empty() && made.text.empty()) made.text = "word0";
    return made;
  }
  RouteDefinition route(const std::string& id, std::size_t most) {
    RouteDefinition made;
    made.id = id;
    if (random() % 16 == 0) made.aggregation = static_cast<Aggregation>(random() % 5);
    if (random() % 8 == 0) made.priority = static_cast<std::int32_t>(random() % 3) - 1;
    for (std::size_t n = 1 + random() % most; n > 0; --n) made.utterances.push_back(utterance());
    return made;
  }
};

struct Query {
  Matrix vector{1, dimension};
  QuantisedQuery codes;
  TokenList words;
  std::vector<QueryWord> distinct;
  std::vector<RuleEvidence> evidence;
  std::vector<std::uint8_t> allowed;
  QuerySignals signals;
};

void make_query(World& world, std::size_t routes, Query& query) {
  if (world.random() % 3 == 0) {
    for (std::size_t r = world.random() % 5; r < routes; r += 1 + world.random() % 9) {
      query.evidence.push_back({static_cast<std::uint32_t>(r), 0.5F});
    }
    query.signals.evidence = query.evidence;
  }
  if (world.random() % 3 == 0) {
    for (std::size_t r = 0; r < routes; ++r) query.allowed.push_back(world.random() % 3 != 0);
    query.signals.allowed = query.allowed.data();
  }
  if (world.random() % 6 != 0) {
    REQUIRE(normalise(world.vector(), query.vector.row(0)));
    query.codes.set(query.vector.row(0));
    query.signals.vector = query.vector.data();
    query.signals.codes = query.codes.view();
    query.signals.coarse = query.codes.coarse();
  }
  if (world.random() % 6 != 0) {
    tokenize(world.text() + "word1 unknown", query.words);
    distinct_words(query.words, query.distinct);
    query.signals.words = query.distinct;
  }
}

std::vector<RankedRoute> rank_all(const RouteSnapshot& current, const QuerySignals& query,
                                  std::optional<ScoreMode> only) {
  Scorer scorer(plain_kernels);
  WordSearch words;
  words.look_up(*current.set, query.words, true);
  std::vector<RankedRoute> ranked;
  for (std::uint32_t r = 0; r < current.set->routes.size(); ++r) {
    SignalScores signals = scorer.score(*current.set, current.scoring, query, words, r);
    if (only == ScoreMode::dense) signals.has_lexical = false;
    if (only == ScoreMode::lexical) signals.has_dense = false;
    const FusedScore fused = fuse(signals, current.scoring);
    if (query.allowed != nullptr && query.allowed[r] == 0) continue;
    const bool has_rules =
        !only && std::ranges::find(query.evidence, r, &RuleEvidence::route) != query.evidence.end();
    const bool has_signal = fused.mode != ScoreMode::none && (!only || fused.mode == *only);
    if (!has_signal && !has_rules) continue;
    float logit = has_signal ? current.calibration.logit(fused) : 0.0F;
    if (has_rules) logit += current.scoring.rule_weight * 4.0F * 0.5F;
    ranked.push_back({r, logit, fused, signals});
  }
  std::ranges::stable_sort(ranked, [&current](const RankedRoute& a, const RankedRoute& b) {
    if (a.logit != b.logit) return a.logit > b.logit;
    return current.set->routes[a.route]->priority > current.set->routes[b.route]->priority;
  });
  return ranked;
}

// Every kernel that runs here, as it is and as one that looks with one byte a float first.
std::vector<Kernels> all_ways() {
  std::vector<Kernels> ways;
  for (const Kernels* kernels : runnable_kernels()) {
    for (const bool coarse_first : {false, true}) {
      ways.push_back(*kernels);
      ways.back().multiplies_bytes = coarse_first;
    }
  }
  return ways;
}

void check_search(World& world, const RouteSnapshot& current) {
  constexpr std::size_t batch = 5;
  std::vector<Query> queries(batch);
  std::vector<QuerySignals> signals;
  for (Query& query : queries) {
    make_query(world, current.set->routes.size(), query);
    signals.push_back(query.signals);
  }
  for (const Kernels& kernels : all_ways()) {
    Searcher searcher(kernels);
    searcher.scan(*current.set, current.scoring, signals);
    for (std::size_t q = 0; q < batch; ++q) {
      searcher.select(q);
      for (const std::optional<ScoreMode> only :
           {std::optional<ScoreMode>(), std::optional(ScoreMode::dense),
            std::optional(ScoreMode::lexical), std::optional(ScoreMode::both)}) {
        const std::vector<RankedRoute> all = rank_all(current, signals[q], only);
        for (const std::size_t wanted : {1U, 4U, 1000U}) {
          const auto found = searcher.best(current.calibration, wanted, only);
          REQUIRE(found.size() == std::min(wanted, all.size()));
          bool equal = true;
          for (std::size_t i = 0; i < found.size(); ++i) {
            equal =
                equal && found[i].route == all[i].route && found[i].logit == all[i].logit &&
                found[i].fused.score == all[i].fused.score &&
                (!found[i].signals.has_dense || found[i].signals.dense == all[i].signals.dense) &&
                (!found[i].signals.has_lexical ||
                 found[i].signals.lexical == all[i].signals.lexical);
          }
          REQUIRE(equal);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("searching equals scoring everything") {
  for (std::uint32_t seed = 1; seed <= 120; ++seed) {
    CAPTURE(seed);
    World world(seed);
    std::vector<RouteDefinition> routes;
    const std::size_t count = 1 + world.random() % 40;
    for (std::size_t r = 0; r < count; ++r) {
      routes.push_back(world.route(std::to_string(100 + r), 12));
    }
    check_search(world, *snapshot(routes, world.tenant));
  }
}

TEST_CASE("searching equals scoring everything where routes are larger than segments") {
  World world(77);
  world.tenant.router = settings(dimension, "e").router;
  std::vector<RouteDefinition> routes;
  for (std::size_t r = 0; r < 6; ++r) {
    routes.push_back(world.route(std::to_string(r), r == 2 ? 1 : 2000));
  }
  for (int i = 0; i < 5000; ++i) routes[3].utterances.push_back(world.utterance());
  const SnapshotPtr current = snapshot(routes, world.tenant);
  CHECK(current->set->segments.size() > 2);
  CHECK(current->set->parts.size() > routes.size());
  check_search(world, *current);
}

TEST_CASE("after any edits the answers are those of a router that was made at once") {
  for (std::uint32_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    World world(1000 + seed);
    std::vector<RouteDefinition> routes;
    std::shared_ptr<const RouteSet> edited = build_route_set({}, dimension);
    for (int step = 0; step < 25; ++step) {
      std::vector<std::shared_ptr<const RouteBlock>> blocks = edited->routes;
      for (std::size_t edits = 1 + world.random() % 3; edits > 0; --edits) {
        const std::string id = std::to_string(100 + world.random() % 60);
        const auto place = std::ranges::lower_bound(routes, id, {}, &RouteDefinition::id);
        const auto index = place - routes.begin();
        const bool exists = place != routes.end() && place->id == id;
        if (exists && world.random() % 3 == 0) {
          routes.erase(place);
          blocks.erase(blocks.begin() + index);
        } else if (exists && world.random() % 2 == 0) {
          const std::vector<Utterance> added{world.utterance(), world.utterance()};
          place->utterances.insert(place->utterances.end(), added.begin(), added.end());
          blocks[static_cast<std::size_t>(index)] =
              append_utterances(*blocks[static_cast<std::size_t>(index)], added, dimension);
        } else {
          RouteDefinition made = world.route(id, world.random() % 8 == 0 ? 900 : 15);
          auto block = build_route(made, dimension);
          if (exists) {
            *place = std::move(made);
            blocks[static_cast<std::size_t>(index)] = std::move(block);
          } else {
            routes.insert(place, std::move(made));
            blocks.insert(blocks.begin() + index, std::move(block));
          }
        }
      }
      edited = build_route_set(std::move(blocks), dimension, edited.get());
    }
    const SnapshotPtr fresh = snapshot(routes, world.tenant);
    auto current = std::make_shared<RouteSnapshot>(*fresh);
    current->set = edited;
    REQUIRE(edited->routes.size() == fresh->set->routes.size());
    CHECK(edited->first_utterance == fresh->set->first_utterance);
    CHECK(edited->first_row == fresh->set->first_row);
    CHECK(edited->average_length == fresh->set->average_length);
    check_search(world, *current);
    Searcher searcher;
    CHECK(fit_calibration(*edited, world.tenant.router, searcher) == fresh->calibration);
  }
}

TEST_CASE("a batch answers as its queries one by one, errors among them") {
  for (std::uint32_t seed = 1; seed <= 6; ++seed) {
    World world(2000 + seed);
    world.tenant.router.dense_weight = 0.7F;
    std::vector<RouteDefinition> routes;
    for (std::size_t r = 0; r < 30; ++r) routes.push_back(world.route(std::to_string(100 + r), 9));
    TenantRouter router(TenantId::parse("acme").value(), snapshot(routes, world.tenant));
    const TenantBinding acme = binding("acme");
    std::vector<std::vector<float>> vectors;
    std::vector<std::string> texts;
    for (int i = 0; i < 70; ++i) {
      vectors.push_back(i % 9 == 4 ? std::vector<float>(3) : world.vector());
      texts.push_back(world.text());
    }
    std::vector<RouteQuery> queries(70);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      if (i % 13 != 5) queries[i].embedding = vectors[i];
      if (i % 3 != 1) queries[i].text = texts[i];
      queries[i].alternatives_limit = static_cast<std::uint32_t>(i % 5);
      queries[i].explain = i % 4 == 0;
    }
    std::vector<Result<RouteDecision>> together;
    REQUIRE(router.route_batch(acme.context(), queries, together));
    REQUIRE(together.size() == queries.size());
    std::size_t refused = 0;
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const auto alone = router.route(acme.context(), queries[i]);
      REQUIRE(alone.has_value() == together[i].has_value());
      if (!alone) {
        CHECK(alone.error().code == together[i].error().code);
        ++refused;
        continue;
      }
      CHECK(alone->route == together[i]->route);
      CHECK(alone->confidence == together[i]->confidence);
      CHECK(alone->scores.fused == together[i]->scores.fused);
      REQUIRE(alone->alternatives.size() == together[i]->alternatives.size());
      for (std::size_t a = 0; a < alone->alternatives.size(); ++a) {
        CHECK(alone->alternatives[a].route == together[i]->alternatives[a].route);
        CHECK(alone->alternatives[a].confidence == together[i]->alternatives[a].confidence);
      }
      REQUIRE(alone->explanation.has_value() == together[i]->explanation.has_value());
      if (alone->explanation) {
        CHECK(alone->explanation->best_utterance == together[i]->explanation->best_utterance);
        CHECK(alone->explanation->words.size() == together[i]->explanation->words.size());
      }
    }
    CHECK(refused > 5);
    CHECK(router.route_batch(binding("globex").context(), queries, together).error().code ==
          ErrorCode::no_tenant);
  }
}

}  // namespace search_test
