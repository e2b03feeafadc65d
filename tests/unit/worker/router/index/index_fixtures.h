// Vectors that lie in clusters, as those of sentences do, and vectors that lie nowhere.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/worker/router/fixtures.h"

namespace tenantd::fixtures {

// Each route has utterances around some topics; topics are shared by no other route. `spread`: of
// utterances around their topic; 0 topics: none, just directions.
inline std::vector<RouteDefinition> topical_routes(unsigned seed, std::size_t routes,
                                                   std::size_t utterances, std::uint32_t dimension,
                                                   std::size_t topics = 4, float spread = 0.8F) {
  std::mt19937 random(seed);
  std::vector<RouteDefinition> all;
  for (std::size_t r = 0; r < routes; ++r) {
    RouteDefinition route;
    route.id = "r" + std::to_string(10'000 + r);
    std::vector<std::vector<float>> middles;
    for (std::size_t t = 0; t < topics; ++t) middles.push_back(random_vector(random, dimension));
    for (std::size_t u = 0; u < utterances; ++u) {
      std::vector<float> vector = random_vector(random, dimension);
      if (topics > 0) {
        const std::vector<float>& middle = middles[random() % topics];
        for (std::size_t j = 0; j < dimension; ++j) vector[j] = middle[j] + spread * vector[j];
      }
      route.utterances.push_back({"", std::move(vector), "e"});
    }
    all.push_back(std::move(route));
  }
  return all;
}

inline TenantSettings index_settings(std::uint32_t dimension,
                                     Aggregation aggregation = Aggregation::top_k_mean) {
  TenantSettings wanted = settings(dimension, "e");
  wanted.router.aggregation = aggregation;
  wanted.router.index = VectorIndexKind::ivf;
  return wanted;
}

}  // namespace tenantd::fixtures
