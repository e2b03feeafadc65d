// Whether two routers answer alike.
#pragma once

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tests/unit/worker/store/store_fixtures.h"

namespace tenantd::fixtures {

// By whole decisions with their explanations, on ten queries.
inline void check_same_answers(TenantRouter& a, TenantRouter& b, std::mt19937& random) {
  const TenantBinding tenant(acme());
  const std::uint32_t dimension = a.snapshot(tenant.context()).value()->set->dimension;
  for (int round = 0; round < 10; ++round) {
    const auto vector = random_vector(random, dimension);
    const std::string text = "text " + std::to_string(random() % 120) +
                             (random() % 4 == 0 ? " go to 10" + std::to_string(random() % 9) : "");
    RouteQuery query;
    query.embedding = vector;
    query.text = text;
    query.alternatives_limit = 1000;
    query.limit = static_cast<std::uint32_t>(random() % 4);
    query.explain = true;
    const auto x = a.route(tenant.context(), query).value();
    const auto y = b.route(tenant.context(), query).value();
    CHECK(x.route == y.route);
    CHECK(x.confidence == y.confidence);
    CHECK(x.scores.rules == y.scores.rules);
    CHECK(x.also.size() == y.also.size());
    REQUIRE(x.explanation->rules.size() == y.explanation->rules.size());
    REQUIRE(x.alternatives.size() == y.alternatives.size());
    for (std::size_t i = 0; i < x.alternatives.size(); ++i) {
      CHECK(x.alternatives[i].route == y.alternatives[i].route);
      CHECK(x.alternatives[i].confidence == y.alternatives[i].confidence);
    }
  }
}

}  // namespace tenantd::fixtures
