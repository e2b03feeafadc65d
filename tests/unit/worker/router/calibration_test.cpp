#include "worker/router/calibration.h"

#include <doctest/doctest.h>

#include "tests/unit/worker/router/fixtures.h"

using namespace tenantd;
using namespace tenantd::fixtures;

namespace calibration_test {

namespace {

float confidence(TenantRouter& router, std::string_view text, std::string& route) {
  RouteQuery query;
  query.text = text;
  query.alternatives_limit = 1;
  const auto decision = router.route(binding("acme").context(), query);
  REQUIRE(decision);
  route = decision->is_fallback && !decision->alternatives.empty()
              ? decision->alternatives.front().route
              : decision->route;
  return decision->confidence;
}

struct Asked {
  const char* text;
  const char* route;  // empty: belongs nowhere
};

void check_all(const std::vector<RouteDefinition>& routes, std::uint32_t dimension,
               const std::vector<Asked>& texts) {
  TenantRouter router(TenantId::parse("acme").value(), snapshot(routes, settings(dimension)));
  for (const Asked& asked : texts) {
    CAPTURE(asked.text);
    CAPTURE(dimension);
    std::string route;
    const float confident = confidence(router, asked.text, route);
    if (*asked.route == '\0') {
      CHECK(confident < 0.5F);
    } else {
      CHECK(route == asked.route);
      CHECK(confident > 0.5F);
    }
  }
}

}  // namespace

TEST_CASE("a tenant of three utterances a route trusts good matches and no strangers") {
  // No utterance is like another of its route: left out, each looks like a stranger.
  for (const std::uint32_t dimension : {64U, 384U}) {
    check_all(
        {text_route("account",
                    {"I forgot my password", "change my email address", "close my account"},
                    dimension),
         text_route("billing", {"where is my invoice", "I was charged twice", "refund my payment"},
                    dimension),
         text_route("shipping", {"where is my parcel", "the delivery is late", "track my package"},
                    dimension)},
        dimension,
        {{"where is my invoice?", "billing"},
         {"track my package", "shipping"},
         {"where is my parcel", "shipping"},
         {"please refund the payment", "billing"},
         {"zebras graze quietly", ""},
         {"what is the weather today", ""},
         {"who won the match", ""},
         {"recommend a recipe for soup", ""}});
  }
}

TEST_CASE("a tenant of two routes, or of one, trusts good matches and no strangers") {
  check_all({text_route("billing", {"where is my invoice", "refund my payment"}, 384),
             text_route("shipping", {"where is my parcel", "track my package"}, 384)},
            384,
            {{"where is my invoice?", "billing"},
             {"refund the payment please", "billing"},
             {"track the package", "shipping"},
             {"zebras graze quietly", ""},
             {"who won the match", ""}});
  check_all({text_route("printer", {"the printer is jammed", "I cannot print"}, 384)}, 384,
            {{"why can't I print?", "printer"},
             {"the printer is jammed again", "printer"},
             {"what is for lunch?", ""}});
}

}  // namespace calibration_test
