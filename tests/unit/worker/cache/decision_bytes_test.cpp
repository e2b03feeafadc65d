#include "worker/cache/decision_bytes.h"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/worker/cache/same_decision.h"

using namespace tenantd;

namespace decision_bytes_test {

TEST_CASE("a decision comes back as it was, and no part of one does") {
  RouteDecision decision;
  decision.route = "billing";
  decision.confidence = 0.75F;
  decision.is_fallback = true;
  decision.reason = RouteReason::ambiguous;
  decision.threshold = 0.5F;
  decision.scores = {0.1F, 0.2F, 0.3F, 0.4F};
  decision.also = {{"refunds", 0.5F, {1, 2, 3, 4}}};
  decision.alternatives = {{"a", 0.25F, {}}, {std::string(200, 'b'), -0.0F, {}}};
  decision.snapshot_version = 77;
  decision.encoder = "hash-v1";
  std::string bytes = "left over";
  write_decision(decision, bytes);
  RouteDecision back;
  back.also.resize(9);
  back.explanation.emplace();
  REQUIRE(read_decision(bytes, back));
  CHECK(same_decision(back, decision));
  CHECK_FALSE(back.explanation);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(read_decision(std::string_view(bytes).substr(0, size), back));
  }
  CHECK_FALSE(read_decision(bytes + 'x', back));
}

TEST_CASE("queries that may have other answers have other keys") {
  const std::array<float, 2> vector{1, 2};
  const std::array<float, 2> other_vector{1, 3};
  const std::array<std::string_view, 2> ab{"a", "b"};
  const std::array<std::string_view, 1> joined{"ab"};
  std::vector<RouteQuery> queries(1);
  const auto add = [&](auto&& change) { change(queries.emplace_back()); };
  add([](RouteQuery& query) { query.text = ""; });
  add([](RouteQuery& query) { query.text = "text"; });
  add([](RouteQuery& query) { query.text = "text "; });
  add([&](RouteQuery& query) { query.embedding = vector; });
  add([&](RouteQuery& query) { query.embedding = other_vector; });
  add([&](RouteQuery& query) { query.embedding = std::span(vector).first(1); });
  add([&](RouteQuery& query) {
    query.embedding = vector;
    query.text = "text";
  });
  // A text whose bytes are a vector's.
  add([&](RouteQuery& query) {
    query.text = std::string_view(reinterpret_cast<const char*>(vector.data()), 8);
  });
  add([](RouteQuery& query) { query.embedding_encoder = "text"; });
  add([](RouteQuery& query) { query.alternatives_limit = 1; });
  add([](RouteQuery& query) { query.limit = 2; });
  add([&](RouteQuery& query) { query.only_routes = ab; });
  add([&](RouteQuery& query) { query.only_tags = ab; });
  add([&](RouteQuery& query) { query.only_routes = joined; });
  add([&](RouteQuery& query) { query.only_routes = std::span(ab).first(1); });
  std::set<std::string> keys;
  QueryKey key;
  for (const RouteQuery& query : queries) {
    key.assign(query);
    CHECK(keys.insert(key.bytes).second);
  }
  RouteQuery same;
  same.limit = 0;  // is 1
  key.assign(same);
  CHECK(keys.count(key.bytes) == 1);
  CHECK(key.options() == key.bytes);
}

}  // namespace decision_bytes_test
