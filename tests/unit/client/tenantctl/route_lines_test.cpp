#include "client/tenantctl/routes/route_lines.h"

#include <doctest/doctest.h>

#include <sstream>

using namespace tenantd;

namespace {

// The error of a file whose third line is `line`.
Error error_of(const std::string& line) {
  std::istringstream in("{\"id\":\"first\"}\n\n" + line + "\n");
  RouteLineReader reader(in, "routes.jsonl");
  REQUIRE(reader.next().value()->id == "first");
  const auto route = reader.next();
  REQUIRE_FALSE(route.has_value());
  CHECK(route.error().file == "routes.jsonl");
  CHECK(route.error().line == 3);
  CHECK(route.error().code == ErrorCode::invalid_argument);
  return route.error();
}

}  // namespace

TEST_CASE("a whole route is read, and written as it was") {
  const std::string line =
      R"({"id":"billing","description":"d","threshold":0.5,"tags":["a","b"],"metadata":{"z":1,"a":[2]},)"
      R"("utterances":["one",{"text":"two","embedding":[0.5,-1.0],"encoder":"e"},{"embedding":[1.0]}]})";
  const auto route = parse_route_line(line);
  REQUIRE(route.has_value());
  CHECK(route->has_threshold);
  CHECK(route->threshold == 0.5F);
  CHECK(route->metadata == R"({"z":1,"a":[2]})");
  REQUIRE(route->utterances.size() == 3);
  CHECK(route->utterances[1].embedding == std::vector<float>{0.5F, -1.0F});
  CHECK(format_route_line(*route, true) == line);
  CHECK(format_route_line(*route, false).find(R"("utterances":["one","two"]})") !=
        std::string::npos);
}

TEST_CASE("rules, priority and aggregation are read, and written as they were") {
  const std::string line =
      R"({"id":"r","margin":0.25,"keywords":["refund","credit card"],"patterns":["\\bINV-[0-9]+"],)"
      R"("always":["talk to a human",{"pattern":"^/help"}],"never":[{"pattern":"\\d{9}"},"spam"],)"
      R"("priority":-2,"aggregation":"top_k_mean","utterances":[]})";
  const auto route = parse_route_line(line);
  REQUIRE(route.has_value());
  REQUIRE(route->rules.size() == 7);
  CHECK(route->rules[2].kind == RuleKindCode::pattern);
  CHECK(route->rules[2].text == "\\bINV-[0-9]+");
  CHECK(route->rules[4].mode == RuleModeCode::always);
  CHECK(route->rules[4].kind == RuleKindCode::pattern);
  CHECK(route->rules[6].mode == RuleModeCode::never);
  CHECK(route->priority == -2);
  CHECK(route->has_margin);
  CHECK(route->margin == 0.25F);
  CHECK(route->aggregation == 3);
  CHECK(format_route_line(*route, true) == line);
  const auto named = parse_route_line(R"({"id":"r","always":[{"keyword":"x"}]})");
  CHECK(named->rules.at(0).kind == RuleKindCode::keyword);
}

TEST_CASE("floats survive a round trip bit by bit") {
  RouteMessage route;
  route.id = "r";
  route.utterances = {{"", {0.1F, 1.0F / 3.0F, 1e-38F, -3.4e38F}, ""}};
  CHECK(parse_route_line(format_route_line(route, true))->utterances[0].embedding ==
        route.utterances[0].embedding);
}

TEST_CASE("every mistake names its line and field") {
  CHECK(error_of("{\"id\":").message.find("not valid JSON at byte") != std::string::npos);
  CHECK(error_of("[1]").message == "a route must be a JSON object");
  CHECK(error_of("{}").field == "id");
  CHECK(error_of(R"({"id":""})").message == "is empty");
  CHECK(error_of(R"({"id":7})").message == "must be a string");
  CHECK(error_of("{\"id\":\"" + std::string(200, 'x') + "\"}").message.find("longer than 127") !=
        std::string::npos);
  const Error misspelt = error_of(R"({"id":"a","utterance":[]})");
  CHECK(misspelt.field == "utterance");
  CHECK(misspelt.hint == "did you mean \"utterances\"?");
  CHECK(error_of(R"({"id":"a","threshold":1.5})").field == "threshold");
  CHECK(error_of(R"({"id":"a","threshold":"x"})").field == "threshold");
  CHECK(error_of(R"({"id":"a","tags":"x"})").field == "tags");
  CHECK(error_of(R"({"id":"a","tags":[1]})").field == "tags");
  CHECK(error_of(R"({"id":"a","utterances":"x"})").field == "utterances");
  CHECK(error_of(R"({"id":"a","keywords":"x"})").field == "keywords");
  CHECK(error_of(R"({"id":"a","keywords":["x",{"pattern":"x"}]})").field == "keywords[1]");
  CHECK(error_of(R"({"id":"a","always":[{"regex":"x"}]})").field == "always[0]");
  CHECK(error_of(R"({"id":"a","never":[{"pattern":1}]})").field == "never[0]");
  CHECK(error_of("{\"id\":\"a\",\"patterns\":[\"" + std::string(1025, 'x') + "\"]}").field ==
        "patterns[0]");
  CHECK(error_of(R"({"id":"a","margin":-0.1})").field == "margin");
  CHECK(error_of(R"({"id":"a","priority":1.5})").field == "priority");
  CHECK(error_of(R"({"id":"a","priority":3000000000})").field == "priority");
  CHECK(error_of(R"({"id":"a","aggregation":"auto"})").field == "aggregation");
  CHECK(error_of(R"({"id":"a","utterances":["ok",5]})").field == "utterances[1]");
  CHECK(error_of(R"({"id":"a","utterances":[""]})").message == "has neither text nor embedding");
  CHECK(error_of(R"({"id":"a","utterances":[{"txt":"x"}]})").field == "utterances[0].txt");
  CHECK(error_of(R"({"id":"a","utterances":[{"embedding":[]}]})").field ==
        "utterances[0].embedding");
  CHECK(error_of(R"({"id":"a","utterances":[{"embedding":[1,"x"]}]})").message ==
        "must hold finite numbers only");
  CHECK(error_of(R"({"id":"a","utterances":[{"embedding":[1e300]}]})").message ==
        "must hold finite numbers only");
  CHECK(error_of("{\"id\":\"\xff\"}").message.find("not valid JSON") != std::string::npos);
  CHECK(error_of(R"({"id":"first"})").message == "\"first\" came before, on line 1");
  CHECK(error_of("{\"id\":\"a\",\"metadata\":\"" + std::string(20'000, 'm') + "\"}").field ==
        "metadata");
}

TEST_CASE("the end of the file, with and without a last newline") {
  std::istringstream in("{\"id\":\"a\"}\r\n   \n{\"id\":\"b\"}");
  RouteLineReader reader(in, "x");
  CHECK(reader.next().value()->id == "a");
  CHECK(reader.next().value()->id == "b");
  CHECK_FALSE(reader.next().value().has_value());
}

TEST_CASE("a deeply nested line is an answer, not a crash") {
  const auto route = parse_route_line(std::string(200'000, '['));
  CHECK_FALSE(route.has_value());
}
