#include <doctest/doctest.h>

#include "tests/unit/worker/router/banking_data.h"
#include "tests/unit/worker/router/fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace real_data_test {

namespace {

// Percent of the queries whose best route, accepted or not, is the labelled one.
double accuracy(const SnapshotPtr& current, const std::vector<LabelledQuery>& queries,
                bool with_embedding, bool with_text) {
  TenantRouter router(TenantId::parse("acme").value(), current);
  const TenantBinding acme = binding("acme");
  std::size_t right = 0;
  for (const LabelledQuery& labelled : queries) {
    RouteQuery query;
    if (with_text) query.text = labelled.text;
    if (with_embedding) query.embedding = labelled.embedding;
    query.alternatives_limit = 1;
    const auto decision = router.route(acme.context(), query);
    REQUIRE(decision);
    const std::string& best =
        decision->is_fallback ? decision->alternatives.at(0).route : decision->route;
    if (best == labelled.route) ++right;
  }
  return 100.0 * static_cast<double>(right) / static_cast<double>(queries.size());
}

}  // namespace

TEST_CASE("Banking77: published accuracies are reproduced") {
  const BankingData data = read_banking_data(TENANTD_TEST_DATA);
  if (data.queries.empty()) {
    MESSAGE("SKIPPED: no data in " TENANTD_TEST_DATA);
    return;
  }
  REQUIRE(data.routes.size() == 77);
  REQUIRE(data.queries.size() == 1000);
  TenantSettings tenant = settings(384, "potion");
  tenant.router.dense_weight = 1.0F;
  tenant.router.lexical_weight = 0.0F;
  const auto dense = [&](Aggregation aggregation) {
    tenant.router.aggregation = aggregation;
    return accuracy(snapshot(data.routes, tenant), data.queries, true, true);
  };
  CHECK(dense(Aggregation::centroid) == doctest::Approx(71.9).epsilon(0.0013));
  CHECK(dense(Aggregation::max) == doctest::Approx(77.4).epsilon(0.0013));
  CHECK(dense(Aggregation::top_k_mean) == doctest::Approx(76.9).epsilon(0.0013));

  const SnapshotPtr fused = snapshot(data.routes, settings(384, "potion"));
  const double both = accuracy(fused, data.queries, true, true);
  MESSAGE("fused, default weights: " << both << " %");
  CHECK(both >= 81.0);

  std::vector<RouteDefinition> hashed;
  for (const RouteDefinition& route : data.routes) {
    std::vector<std::string> texts;
    for (const Utterance& utterance : route.utterances) texts.push_back(utterance.text);
    hashed.push_back(text_route(route.id, texts, 384));
  }
  const double text_only = accuracy(snapshot(hashed, settings(384)), data.queries, false, true);
  MESSAGE("text only, hash encoder: " << text_only << " %");
  CHECK(text_only >= 70.0);
}

}  // namespace real_data_test
