#include "shared/protocol/codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "shared/protocol/admin_messages.h"
#include "shared/protocol/cache_messages.h"
#include "shared/protocol/history_messages.h"
#include "shared/protocol/json.h"
#include "shared/protocol/routing_messages.h"
#include "shared/protocol/trial_messages.h"

using namespace tenantd;

namespace {

RoutesEdit sample_edit() {
  RoutesEdit edit;
  RouteEditMessage& item = edit.edits.emplace_back();
  item.kind = EditKind::add;
  item.route.id = "billing";
  item.route.has_threshold = true;
  item.route.threshold = 0.0F;
  item.route.tags = {"money", "eu"};
  item.route.utterances.push_back({"where is my invoice", {0.5F, -1.0F, 0.25F}, "potion"});
  item.route.utterances.push_back({"refund me", {}, ""});
  item.route.priority = -7;
  item.route.has_margin = true;
  item.route.margin = 0.125F;
  item.route.aggregation = 3;
  item.route.rules = {{RuleKindCode::keyword, RuleModeCode::signal, "invoice"},
                      {RuleKindCode::pattern, RuleModeCode::never, "\\bspam\\b"}};
  return edit;
}

template <class T>
std::vector<std::byte> encoded(const T& message) {
  std::vector<std::byte> out;
  REQUIRE(encode(message, out).has_value());
  return out;
}

}  // namespace

TEST_CASE("a route request round-trips without copying its text and vector") {
  const std::array<float, 3> vector{1.0F, 2.0F, -3.5F};
  const std::array<Label, 1> labels{{{"route", "eu"}}};
  RouteRequest request;
  request.text = "odd";  // three bytes: the floats must be padded
  request.embedding = vector;
  request.alternatives = 7;
  request.labels.assign(labels.begin(), labels.end());
  request.limit = 3;
  request.only_routes = {"billing", "refunds"};
  request.only_tags = {"money"};
  const auto payload = encoded(request);
  const auto back = decode<RouteRequest>(payload);
  REQUIRE(back.has_value());
  CHECK(back->text == "odd");
  CHECK(back->alternatives == 7);
  CHECK(back->labels.at(0).value == "eu");
  CHECK(back->limit == 3);
  CHECK(back->only_routes == request.only_routes);
  CHECK(back->only_tags == request.only_tags);
  REQUIRE(back->embedding.size() == 3);
  CHECK(back->embedding[2] == -3.5F);
  const auto* first = reinterpret_cast<const std::byte*>(back->embedding.data());
  CHECK((first >= payload.data() && first < payload.data() + payload.size()));
  CHECK((first - payload.data()) % 4 == 0);
}

TEST_CASE("a trial and its answer round-trip") {
  RoutesTrial trial;
  trial.as_they_are = false;
  trial.settings = {0.5F, 0.25F, 4, 3, 2500};
  trial.utterances = 512;
  trial.queries.push_back({"where is it", {1.0F, -2.0F}});
  const auto asked = decode<RoutesTrial>(encoded(trial));
  REQUIRE(asked);
  CHECK_FALSE(asked->as_they_are);
  CHECK(asked->settings == trial.settings);
  CHECK(asked->utterances == 512);
  REQUIRE(asked->queries.size() == 1);
  CHECK(asked->queries[0].text == "where is it");
  CHECK(asked->queries[0].embedding == trial.queries[0].embedding);

  RoutesTried tried;
  tried.snapshot_version = 7;
  tried.threshold = 0.0F;
  tried.fallback = "general";
  tried.expected_error = 0.125F;
  tried.utterances.push_back({"a", true, {"b", 0.5F}, true, {"c", 0.25F}});
  tried.queries.push_back({"", 0.0F});
  const auto answered = decode<RoutesTried>(encoded(tried));
  REQUIRE(answered);
  CHECK(answered->snapshot_version == 7);
  CHECK(answered->fallback == "general");
  CHECK(answered->expected_error == 0.125F);
  REQUIRE(answered->utterances.size() == 1);
  CHECK(answered->utterances[0].stranger.route == "c");
  CHECK(answered->utterances[0].answer.confidence == 0.5F);
  CHECK(answered->queries.size() == 1);
}

TEST_CASE("nested messages round-trip and show as JSON") {
  const auto back = decode<RoutesEdit>(encoded(sample_edit()));
  REQUIRE(back.has_value());
  CHECK(to_json(*back) == to_json(sample_edit()));
  CHECK(to_json(*back)["edits"][0]["route"]["utterances"][0]["encoder"] == "potion");
}

TEST_CASE("a reply with several answers and the rules that decided round-trips") {
  RouteReply reply;
  reply.reason = DecisionReason::excluded;
  reply.also = {{"refunds", 0.5F, 0.4F, 0.3F, 0.2F, 0.75F}};
  reply.rules = {{"refunds", {RuleKindCode::pattern, RuleModeCode::always, "^/r"}}};
  reply.source = AnswerSource::similar;
  reply.source_similarity = 0.99F;
  auto payload = encoded(reply);
  const auto back = decode<RouteReply>(payload);
  REQUIRE(back.has_value());
  CHECK(to_json(*back) == to_json(reply));
  CHECK(back->also.at(0).rule_score == 0.75F);
  CHECK(back->rules.at(0).rule.text == "^/r");
  RuleMessage rule{RuleKindCode::keyword, RuleModeCode::always, "x"};
  for (const std::size_t at : {0U, 1U}) {  // kind, mode
    auto corrupt = encoded(rule);
    corrupt[at] = std::byte{3};
    CHECK_FALSE(decode<RuleMessage>(corrupt).has_value());
  }
}

TEST_CASE("the cache's messages round-trip, and a value is written as it is read") {
  const std::string bytes("a\0\xff", 3);
  const auto payload = encoded(CacheSet{"key", bytes, CacheValueKind::json, 7});
  const auto set = decode<CacheSet>(payload);  // views of it
  REQUIRE(set);
  CHECK(set->key == "key");
  CHECK(set->value == bytes);
  CHECK(set->kind == CacheValueKind::json);
  CHECK(set->ttl_ms == 7);
  const auto key_payload = encoded(CacheGet{"key"});
  CHECK(decode<CacheGet>(key_payload)->key == "key");
  CHECK(decode<CacheDelete>(key_payload)->key == "key");
  CHECK(decode<CacheClear>(encoded(CacheClear{})));
  const CacheValueView view{true, CacheValueKind::text, bytes, 9};
  const auto value = decode<CacheValue>(encoded(view));
  REQUIRE(value);
  CHECK(value->found);
  CHECK(value->value == bytes);
  CHECK(value->ttl_left_ms == 9);
  CHECK(encoded(*value) == encoded(view));
  CacheStats stats;
  stats.values = {1, 2, 3, 4, 5, 6, 7, 8};
  stats.routing_enabled = true;
  stats.routing.max_bytes = 9;
  stats.similar_hits = 10;
  stats.similar_entries = 11;
  stats.dropped = 12;
  CHECK(to_json(decode<CacheStats>(encoded(stats)).value()) == to_json(stats));
  CHECK(decode<CacheChanged>(encoded(CacheChanged{1, 2}))->entries == 2);
  const std::string key(max_cache_key_bytes + 1, 'k');
  std::vector<std::byte> out;
  CHECK(encode(CacheGet{key}, out).error().field == "key");
  auto corrupt = encoded(view);
  corrupt[1] = std::byte{3};  // kind
  CHECK_FALSE(decode<CacheValue>(corrupt).has_value());
}

TEST_CASE("the history's messages round-trip") {
  CHECK(to_json(decode<ExecutionsRequest>(encoded(ExecutionsRequest{-1, 2, 3, 4, 5})).value()) ==
        to_json(ExecutionsRequest{-1, 2, 3, 4, 5}));
  Executions page;
  page.executions.push_back(
      {1, 2, 3, "billing", 0.5F, 6, "token:9f86d081", ExecutionOutcome::cached});
  page.executions.push_back({});
  page.more = true;
  page.dropped = 7;
  CHECK(to_json(decode<Executions>(encoded(page)).value()) == to_json(page));
  auto bytes = encoded(page);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CHECK_FALSE(decode<Executions>(std::span(bytes).first(cut)));
  }
  page.executions[0].outcome = static_cast<ExecutionOutcome>(4);
  CHECK_FALSE(decode<Executions>(encoded(page)));
  page.executions.assign(max_executions_per_page, Execution{});
  bytes.clear();
  CHECK(encode(page, bytes));
  page.executions.emplace_back();
  CHECK_FALSE(encode(page, bytes));

  CHECK(decode<RetentionRequest>(encoded(RetentionRequest{true}))->run);
  Retention report{30, 0.5, 1, 2, 3, 4, 5, 6, 7, true, {{8, "executions", 9, 10, 11}}};
  CHECK(to_json(decode<Retention>(encoded(report)).value()) == to_json(report));
  report.deletions.resize(max_deletions_per_report + 1);
  bytes.clear();
  CHECK_FALSE(encode(report, bytes));
}

TEST_CASE("fields of every size round-trip behind what is in the buffer already") {
  // Sizes around the room that the writer makes at once, so that each kind of field meets its end.
  for (std::size_t before = 0; before < 9; ++before) {
    for (const std::size_t size :
         {0, 1, 3, 120, 200, 228, 229, 230, 231, 240, 255, 256, 257, 1000}) {
      CAPTURE(before);
      CAPTURE(size);
      const std::string text(size, 'x');
      const std::vector<float> vector(size, 0.5F);
      RouteRequest request;
      request.text = text;
      request.embedding = vector;
      request.alternatives = 7;
      request.labels = {{"key", "value"}};
      std::vector<std::byte> out(before, std::byte{0xAA});
      REQUIRE(encode(request, out));
      REQUIRE(std::ranges::count(std::span(out).first(before), std::byte{0xAA}) ==
              static_cast<std::ptrdiff_t>(before));
      const std::vector<std::byte> payload(out.begin() + static_cast<std::ptrdiff_t>(before),
                                           out.end());
      std::vector<std::byte> alone;
      REQUIRE(encode(request, alone));
      CHECK(alone == payload);
      const auto back = decode<RouteRequest>(payload);
      REQUIRE(back);
      CHECK(back->text == text);
      CHECK(std::ranges::equal(back->embedding, vector));
      CHECK(back->alternatives == 7);
      REQUIRE(back->labels.size() == 1);
      CHECK(back->labels[0].value == "value");
    }
  }
}

TEST_CASE("every truncation and every trailing byte is refused") {
  const auto payload = encoded(sample_edit());
  for (std::size_t size = 0; size < payload.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode<RoutesEdit>(std::span(payload).first(size)).has_value());
  }
  auto longer = payload;
  longer.push_back(std::byte{0});
  CHECK_FALSE(decode<RoutesEdit>(longer).has_value());
}

TEST_CASE("single-byte corruption never crashes and never yields out-of-range enums or bools") {
  const auto payload = encoded(sample_edit());
  for (std::size_t at = 0; at < payload.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0xff}) {
      auto corrupt = payload;
      corrupt[at] = static_cast<std::byte>(value);
      const auto back = decode<RoutesEdit>(corrupt);
      if (back && !back->edits.empty()) CHECK(is_valid(back->edits[0].kind));
    }
  }
}

TEST_CASE("a field over its bound is refused by the writer with its name") {
  RouteRequest request;
  const std::string user(129, 'u');
  request.user = user;
  std::vector<std::byte> out(5);
  const auto status = encode(request, out);
  REQUIRE_FALSE(status.has_value());
  CHECK(status.error().field == "user");
  CHECK(out.size() == 5);
}

TEST_CASE("every message type has exactly one rule") {
  for (const MessageRule& rule : message_rules) {
    CHECK(find_message_rule(static_cast<std::uint16_t>(rule.type)) == &rule);
  }
  CHECK(find_message_rule(0) == nullptr);
  CHECK(find_message_rule(9999) == nullptr);
}

TEST_CASE("an error keeps its parts over the wire but not its errno") {
  Error error;
  error.code = ErrorCode::wrong_dimension;
  error.message = "got 3, want 384";
  error.field = "embedding";
  error.os_errno = 5;
  error.retry_after_ms = 20;
  Error expected = error;
  expected.os_errno = 0;
  CHECK(decode<ErrorMessage>(encoded(ErrorMessage::from(error)))->to_error() == expected);
}
