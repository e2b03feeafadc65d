#include "worker/router/tenant_router.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "tests/unit/worker/router/fixtures.h"
#include "worker/router/validate.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace tenant_router_test {

namespace {

constexpr std::uint32_t dimension = 128;

std::vector<RouteDefinition> help_desk() {
  return {text_route("billing",
                     {"I was charged twice on my invoice", "refund the wrong payment",
                      "why is my bill so high this month"},
                     dimension),
          text_route("password",
                     {"I forgot my password", "reset the password of my account",
                      "cannot log in, password rejected"},
                     dimension),
          text_route(
              "shipping",
              {"where is my parcel", "the delivery is late", "track the parcel that you shipped"},
              dimension)};
}

struct Desk {
  explicit Desk(const TenantSettings& tenant = settings(dimension),
                const std::vector<RouteDefinition>& routes = help_desk())
      : router(TenantId::parse("acme").value(), snapshot(routes, tenant)) {}
  Result<RouteDecision> ask(std::string_view text, std::uint32_t alternatives = 2) {
    RouteQuery query;
    query.text = text;
    query.alternatives_limit = alternatives;
    query.explain = true;
    return router.route(binding("acme").context(), query);
  }
  Result<RouteDecision> ask(std::span<const float> embedding, std::string_view encoder = {}) {
    RouteQuery query;
    query.embedding = embedding;
    query.embedding_encoder = encoder;
    return router.route(binding("acme").context(), query);
  }
  TenantRouter router;
};

ErrorCode code_of(const Result<RouteDecision>& decision) {
  REQUIRE_FALSE(decision.has_value());
  return decision.error().code;
}

}  // namespace

TEST_CASE("a text finds its route and the decision explains itself") {
  Desk desk;
  const auto decision = desk.ask("my password was rejected");
  REQUIRE(decision);
  CHECK(decision->route == "password");
  CHECK_FALSE(decision->is_fallback);
  CHECK(decision->reason == RouteReason::matched);
  CHECK(decision->confidence >= 0.5F);
  CHECK(decision->confidence <= 1.0F);
  CHECK(decision->encoder == "hash-v1");
  REQUIRE(decision->alternatives.size() == 2);
  CHECK(decision->alternatives[0].confidence >= decision->alternatives[1].confidence);
  CHECK(decision->alternatives[0].confidence < decision->confidence);
  const auto& s = decision->scores;
  CHECK(s.fused ==
        doctest::Approx(0.7 * static_cast<double>(s.dense) + 0.3 * static_cast<double>(s.lexical)));
  REQUIRE(decision->explanation);
  CHECK(decision->explanation->best_utterance == "cannot log in, password rejected");
  REQUIRE(decision->explanation->words.size() >= 2);
  CHECK(decision->explanation->words[0].word == "reject");
}

TEST_CASE("a text that shares no word falls back at one half") {
  Desk desk;
  for (const char* text : {"quantum chromodynamics lattice", "xkcd qwzzt", "Was kostet Kaffee",
                           "passwort verloren", "the my is of", "parcl"}) {
    CAPTURE(text);
    const auto decision = desk.ask(text);
    REQUIRE(decision);
    CHECK(decision->is_fallback);
    CHECK(decision->route == "fallback");
    CHECK(decision->confidence < 0.5F);
    CHECK(decision->reason == RouteReason::below_threshold);
    CHECK(decision->alternatives.size() == 2);
  }
  const auto wordless = desk.ask("?!");
  REQUIRE(wordless);
  CHECK(wordless->reason == RouteReason::no_signal);
  CHECK(wordless->is_fallback);
}

TEST_CASE("thresholds compare confidence, a route's own first, and zero is one") {
  TenantSettings tenant = settings(dimension);
  tenant.router.threshold = 0.0F;
  Desk open(tenant);
  CHECK_FALSE(open.ask("quantum chromodynamics lattice")->is_fallback);
  auto routes = help_desk();
  routes[1].threshold = 1.0F;
  Desk strict(tenant, routes);
  const auto decision = strict.ask("I forgot the password");
  CHECK(decision->is_fallback);
  CHECK(decision->threshold == 1.0F);
  CHECK(decision->alternatives[0].route == "password");
  tenant.router.threshold = 1.0F;
  routes[1].threshold = 0.0F;
  Desk lenient(tenant, routes);
  CHECK(lenient.ask("I forgot the password")->route == "password");
  CHECK(lenient.ask("where is my parcel")->is_fallback);
}

TEST_CASE("a route answers by its own margin before the tenant's, and zero is one") {
  TenantSettings tenant = settings(dimension);
  tenant.router.threshold = 0.0F;
  auto routes = help_desk();
  routes[1].margin = 1.0F;
  Desk strict(tenant, routes);
  CHECK(strict.ask("I forgot the password")->reason == RouteReason::ambiguous);
  CHECK(strict.ask("where is my parcel")->reason == RouteReason::matched);
  tenant.router.margin_e4 = 10'000;
  routes[1].margin = 0.0F;
  Desk lenient(tenant, routes);
  CHECK(lenient.ask("I forgot the password")->route == "password");
  CHECK(lenient.ask("where is my parcel")->reason == RouteReason::ambiguous);
}

TEST_CASE("each bad query has its typed error") {
  Desk desk;
  std::vector<float> vector(dimension, 1.0F);
  CHECK(code_of(desk.router.route(binding("acme").context(), RouteQuery{})) ==
        ErrorCode::invalid_argument);
  CHECK(code_of(desk.ask("  \n")) == ErrorCode::invalid_argument);
  CHECK(code_of(desk.ask(std::string(max_tokenized_bytes + 1, 'a'))) ==
        ErrorCode::invalid_argument);
  CHECK(code_of(desk.ask("hello", max_alternatives + 1)) == ErrorCode::invalid_argument);
  CHECK(code_of(desk.ask(std::span(vector).first(5))) == ErrorCode::wrong_dimension);
  CHECK(code_of(desk.ask(vector, "potion")) == ErrorCode::encoder_mismatch);
  CHECK(desk.ask(vector, "hash").has_value());
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    vector[17] = bad;
    CHECK(code_of(desk.ask(vector)) == ErrorCode::invalid_vector);
  }
  CHECK(code_of(desk.ask(std::vector<float>(dimension, 0.0F))) == ErrorCode::invalid_vector);
  CHECK(desk.ask(std::vector<float>(dimension, 3e38F)).has_value());
  RouteQuery query;
  query.text = "hello";
  CHECK(code_of(desk.router.route(binding("globex").context(), query)) == ErrorCode::no_tenant);
  CHECK_FALSE(desk.router.snapshot(binding("globex").context()).has_value());
}

TEST_CASE("encoders that are not built in need an embedding, unless words decide alone") {
  std::mt19937 random(5);
  auto routes = help_desk();
  for (auto& route : routes) {
    for (auto& utterance : route.utterances) {
      utterance.encoder = "potion";
      utterance.embedding = random_vector(random, dimension);
    }
  }
  TenantSettings tenant = settings(dimension, "potion");
  Desk desk(tenant, routes);
  CHECK(code_of(desk.ask("where is my parcel")) == ErrorCode::encoder_unavailable);
  const auto exact = desk.ask(routes[0].utterances[0].embedding);
  REQUIRE(exact);
  CHECK(exact->encoder == "potion");
  CHECK(exact->scores.lexical == 0.0F);
  CHECK(exact->scores.fused == exact->scores.dense);
  tenant.router.dense_weight = 0.0F;
  Desk lexical(tenant, routes);
  const auto decision = lexical.ask("where is my parcel");
  REQUIRE(decision);
  CHECK(decision->route == "shipping");
  CHECK(decision->encoder.empty());
  CHECK(lexical.ask("zzz")->reason == RouteReason::no_signal);
  // The tenant's file now says "hash", the stored vectors are of potion.
  Desk changed(settings(dimension, "hash"), routes);
  CHECK(code_of(changed.ask("where is my parcel")) == ErrorCode::encoder_mismatch);
}

TEST_CASE("a router without routes falls back and says so") {
  Desk desk(settings(dimension), {});
  const auto decision = desk.ask("hello");
  REQUIRE(decision);
  CHECK(decision->reason == RouteReason::no_routes);
  CHECK(decision->is_fallback);
  CHECK(decision->route == "fallback");
}

TEST_CASE("routes, texts and settings are validated") {
  const auto valid = help_desk()[0];
  const auto refused = [&](auto change) {
    RouteDefinition route = valid;
    change(route);
    return !validate_route(route, dimension).has_value();
  };
  CHECK_FALSE(refused([](RouteDefinition&) {}));
  CHECK_FALSE(refused([](RouteDefinition& r) { r.id = "reverted_card_payment?"; }));
  CHECK(refused([](RouteDefinition& r) { r.id = ""; }));
  CHECK(refused([](RouteDefinition& r) { r.id = " x"; }));
  CHECK(refused([](RouteDefinition& r) { r.id = "a\nb"; }));
  CHECK(refused([](RouteDefinition& r) {
    r.id =
        "a\xC2\x9B"
        "31m";
  }));  // CSI, as C1 control
  CHECK_FALSE(refused([](RouteDefinition& r) {
    r.id =
        "a\xC2\xA0"
        "b";
  }));
  CHECK(refused([](RouteDefinition& r) { r.id = "\xFF"; }));
  CHECK(refused([](RouteDefinition& r) { r.id = std::string(128, 'a'); }));
  CHECK(refused([](RouteDefinition& r) { r.utterances.clear(); }));
  CHECK(refused([](RouteDefinition& r) { r.utterances[0] = {}; }));
  CHECK(refused([](RouteDefinition& r) { r.threshold = 1.5F; }));
  CHECK(refused([](RouteDefinition& r) { r.threshold = std::nanf(""); }));
  CHECK(refused([](RouteDefinition& r) { r.margin = 1.5F; }));
  CHECK(refused([](RouteDefinition& r) { r.margin = std::nanf(""); }));
  CHECK(refused([](RouteDefinition& r) { r.metadata = "{"; }));
  CHECK(refused([](RouteDefinition& r) { r.tags = {""}; }));
  CHECK(refused([](RouteDefinition& r) { r.tags.assign(33, "t"); }));
  CHECK(refused(
      [](RouteDefinition& r) { r.utterances[0].text.assign(max_utterance_bytes + 1, 'a'); }));
  CHECK(refused([](RouteDefinition& r) { r.utterances[0].embedding.pop_back(); }));
  for (const char* json :
       {"{}", "[1, -2.5e+3, \"a\\u00e9\\n\", null, true]", " {\"a\": {\"b\": []}} ", "0"}) {
    CHECK(is_json(json));
  }
  for (const char* text :
       {"", "{]", "01", "1.", "[1,]", "{\"a\"}", "\"\n\"", "\"\\x\"", "nul", "1 2"}) {
    CAPTURE(text);
    CHECK_FALSE(is_json(text));
  }
  CHECK_FALSE(is_json(std::string(40, '[') + std::string(40, ']')));
  TenantSettings tenant = settings(dimension);
  CHECK(validate_settings(tenant));
  tenant.router.dense_weight = tenant.router.lexical_weight = 0;
  CHECK_FALSE(validate_settings(tenant));
  tenant = settings(0);
  CHECK_FALSE(validate_settings(tenant));
  tenant = settings(dimension);
  tenant.router.threshold = std::nanf("");
  CHECK_FALSE(validate_settings(tenant));
}

TEST_CASE("snapshots change while queries run, and each answer is of one snapshot") {
  TenantSettings tenant = settings(dimension);
  const auto one = snapshot({help_desk()[0]}, tenant);
  auto both = std::make_shared<RouteSnapshot>(*snapshot({help_desk()[0], help_desk()[1]}, tenant));
  both->version = 2;
  TenantRouter router(TenantId::parse("acme").value(), one);
  const TenantBinding acme = binding("acme");
  std::atomic<bool> stop{false};
  std::thread editor([&] {
    for (int i = 0; i < 3000; ++i) {
      const SnapshotPtr next = i % 2 == 0 ? SnapshotPtr(both) : one;
      if (!router.publish(acme.context(), std::make_shared<RouteSnapshot>(*next))) std::abort();
    }
    stop = true;
  });
  std::size_t answers = 0;
  while (!stop || answers == 0) {
    RouteQuery query;
    query.text = "reset the password of my account";
    query.alternatives_limit = 5;
    const auto decision = router.route(acme.context(), query);
    REQUIRE(decision);
    const std::size_t known = decision->alternatives.size() + (decision->is_fallback ? 0 : 1);
    REQUIRE(known == decision->snapshot_version);
    ++answers;
  }
  editor.join();
  CHECK(answers > 0);
}

}  // namespace tenant_router_test
