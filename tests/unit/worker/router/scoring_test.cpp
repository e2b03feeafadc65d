#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/dot.h"
#include "worker/router/scorer.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace scoring_test {

namespace {

double reference_cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double product = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    product += x * y, aa += x * x, bb += y * y;
  }
  return product / std::sqrt(aa * bb);
}

double reference_dense(const RouteDefinition& route, const std::vector<float>& query,
                       const RouterSettings& settings) {
  if (settings.aggregation == Aggregation::prototype_mix) {
    RouterSettings part = settings;
    part.aggregation = Aggregation::centroid;
    const double centroid = reference_dense(route, query, part);
    part.aggregation = Aggregation::top_k_mean;
    const double share = settings.prototype_weight_e4 / 1e4;
    return share * centroid + (1 - share) * reference_dense(route, query, part);
  }
  if (settings.aggregation == Aggregation::centroid) {
    std::vector<double> sum(query.size());
    for (const Utterance& u : route.utterances) {
      double squares = 0;
      for (const float v : u.embedding) squares += static_cast<double>(v) * static_cast<double>(v);
      for (std::size_t j = 0; j < sum.size(); ++j) {
        sum[j] += static_cast<double>(u.embedding[j]) / std::sqrt(squares);
      }
    }
    std::vector<float> centroid(sum.begin(), sum.end());
    return reference_cosine(centroid, query);
  }
  std::vector<double> all;
  for (const Utterance& u : route.utterances) all.push_back(reference_cosine(u.embedding, query));
  std::sort(all.rbegin(), all.rend());
  std::size_t count = all.size();
  if (settings.aggregation == Aggregation::max) count = 1;
  if (settings.aggregation == Aggregation::top_k_mean) {
    count = std::min<std::size_t>(settings.top_k, count);
  }
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += all[i];
  return sum / static_cast<double>(count);
}

// Every route by itself, with all of its vectors.
std::vector<SignalScores> score_all(const RouteSet& set, const RouterSettings& settings,
                                    const QuerySignals& query, bool* shares_word = nullptr) {
  Scorer scorer;
  WordSearch words;
  words.look_up(set, query.words, true);
  std::vector<SignalScores> scores;
  for (std::uint32_t r = 0; r < set.routes.size(); ++r) {
    scores.push_back(scorer.score(set, settings, query, words, r));
  }
  if (shares_word != nullptr) *shares_word = words.shares_word();
  return scores;
}

std::vector<RouteDefinition> random_routes(std::mt19937& random, std::uint32_t dimension,
                                           std::size_t routes, std::size_t most) {
  std::vector<RouteDefinition> all(routes);
  for (std::size_t r = 0; r < routes; ++r) {
    all[r].id = std::to_string(1000 + r);
    const std::size_t count = 1 + random() % most;
    for (std::size_t i = 0; i < count; ++i) {
      all[r].utterances.push_back({"", random_vector(random, dimension), "e"});
    }
  }
  return all;
}

}  // namespace

TEST_CASE("all aggregations equal a naive reference, also over chunk borders") {
  std::mt19937 random(2);
  for (const std::uint32_t dimension : {7U, 64U}) {
    auto routes = random_routes(random, dimension, 12, 20);
    // One route of more than a chunk.
    for (std::size_t i = 0; i < max_chunk_rows + 3; ++i) {
      routes[3].utterances.push_back({"", random_vector(random, dimension), "e"});
    }
    for (const auto& [aggregation, k] :
         std::vector<std::pair<Aggregation, std::uint16_t>>{{Aggregation::max, 3},
                                                            {Aggregation::mean, 3},
                                                            {Aggregation::centroid, 3},
                                                            {Aggregation::top_k_mean, 1},
                                                            {Aggregation::top_k_mean, 3},
                                                            {Aggregation::top_k_mean, 8},
                                                            {Aggregation::top_k_mean, 50},
                                                            {Aggregation::prototype_mix, 1},
                                                            {Aggregation::prototype_mix, 4}}) {
      TenantSettings tenant = settings(dimension, "e");
      tenant.router.aggregation = aggregation;
      tenant.router.top_k = k;
      tenant.router.prototype_weight_e4 = 2500;
      const SnapshotPtr current = snapshot(routes, tenant);
      for (int round = 0; round < 10; ++round) {
        const auto query = random_vector(random, dimension);
        Matrix padded(1, dimension);
        REQUIRE(normalise(query, padded.row(0)));
        const auto scores = score_all(*current->set, tenant.router, {padded.data(), {}, {}});
        for (std::size_t r = 0; r < routes.size(); ++r) {
          const double expected = reference_dense(routes[r], query, tenant.router);
          CHECK(std::abs(static_cast<double>(scores[r].dense) - expected) < 2e-5);
        }
      }
    }
  }
}

TEST_CASE("leaving an utterance out equals a route without it") {
  std::mt19937 random(3);
  const std::uint32_t dimension = 32;
  auto routes = random_routes(random, dimension, 5, 6);
  routes[2].utterances.resize(1);
  for (int i = 0; i < 5; ++i)
    routes[2].utterances.push_back({"", random_vector(random, dimension), "e"});
  for (const Aggregation aggregation :
       {Aggregation::max, Aggregation::mean, Aggregation::top_k_mean, Aggregation::centroid}) {
    TenantSettings tenant = settings(dimension, "e");
    tenant.router.aggregation = aggregation;
    const SnapshotPtr whole = snapshot(routes, tenant);
    for (std::uint32_t skipped = 0; skipped < 6; ++skipped) {
      auto fewer = routes;
      fewer[2].utterances.erase(fewer[2].utterances.begin() + skipped);
      Matrix padded(1, dimension);
      REQUIRE(normalise(random_vector(random, dimension), padded.row(0)));
      Scorer scorer;
      WordSearch words;
      const QuerySignals query{padded.data(), {}, {}};
      words.look_up(*whole->set, query.words, true);
      const SignalScores left = scorer.score(*whole->set, tenant.router, query, words, 2, skipped);
      const SnapshotPtr rest = snapshot(fewer, tenant);
      words.look_up(*rest->set, query.words, true);
      const SignalScores without = scorer.score(*rest->set, tenant.router, query, words, 2);
      CHECK(left.dense == doctest::Approx(static_cast<double>(without.dense)).epsilon(1e-4));
    }
  }
}

TEST_CASE("BM25 equals the formula, per utterance, best one per route") {
  const std::vector<std::vector<std::string>> texts{
      {"alpha beta beta", "gamma"}, {"alpha delta epsilon zeta", "beta"}, {"omega psi"}};
  TenantSettings tenant = settings(64);
  std::vector<RouteDefinition> routes;
  for (std::size_t r = 0; r < texts.size(); ++r) {
    routes.push_back(text_route(std::to_string(r), texts[r], 64));
  }
  const SnapshotPtr current = snapshot(routes, tenant);
  TokenList words;
  std::vector<QueryWord> distinct;
  tokenize("beta alpha beta", words);
  distinct_words(words, distinct);
  REQUIRE(distinct.size() == 2);
  bool shares_word = false;
  const auto scores =
      score_all(*current->set, tenant.router, {nullptr, {}, distinct}, &shares_word);
  const double average = (3 + 1 + 4 + 1 + 2) / 5.0;
  const auto term = [&](double tf, double length, double df) {
    const double idf = std::log(1 + (5 - df + 0.5) / (df + 0.5));
    return idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / average));
  };
  const double first = term(1, 3, 2) + term(2, 3, 2);
  const double second = std::max(term(1, 4, 2), term(1, 1, 2));
  CHECK(scores[0].lexical == doctest::Approx(first / (first + 8)).epsilon(1e-5));
  CHECK(scores[1].lexical == doctest::Approx(second / (second + 8)).epsilon(1e-5));
  CHECK(scores[2].lexical == 0.0F);
  CHECK(shares_word);
  tokenize("nothing known", words);
  distinct_words(words, distinct);
  for (const auto& score :
       score_all(*current->set, tenant.router, {nullptr, {}, distinct}, &shares_word)) {
    CHECK(score.lexical == 0.0F);
  }
  CHECK_FALSE(shares_word);
}

TEST_CASE("confidence rises strictly with the score and the fit separates what can be separated") {
  const Sigmoid prior{12.0F, 0.5F};
  CHECK(fit_sigmoid({}, prior).midpoint == doctest::Approx(0.5));
  std::vector<LabelledScore> examples;
  for (int i = 0; i < 200; ++i) {
    examples.push_back({0.80F + 0.0005F * static_cast<float>(i), 1.0F, true});
    examples.push_back({0.60F + 0.0005F * static_cast<float>(i), 1.0F, false});
  }
  const Sigmoid fitted = fit_sigmoid(examples, prior);
  CHECK(fitted.midpoint > 0.68F);
  CHECK(fitted.midpoint < 0.82F);
  CHECK(probability(fitted.logit(0.9F)) > 0.9F);
  CHECK(probability(fitted.logit(0.6F)) < 0.1F);
  for (LabelledScore& example : examples) example.belongs = !example.belongs;
  CHECK(fit_sigmoid(examples, prior).slope > 0);  // absurd labels don't turn it round
  for (LabelledScore& example : examples) example.score = 0.5F;
  CHECK(fit_sigmoid(examples, prior).slope > 0);
}

}  // namespace scoring_test
