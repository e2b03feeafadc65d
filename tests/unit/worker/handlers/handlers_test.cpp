#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "shared/protocol/json.h"
#include "shared/protocol/stats_messages.h"
#include "worker/handlers/dispatcher.h"
#include "worker/handlers/frames.h"
#include "worker/handlers/page_handler.h"
#include "worker/handlers/route_handler.h"
#include "worker/handlers/translate.h"
// The protocol's headers come first: see translate.cpp.
#include "tests/unit/worker/router/fixtures.h"

using namespace tenantd;

namespace handlers_test {

namespace {

constexpr std::uint32_t dimension = 16;

std::vector<RouteDefinition> many_routes() {
  std::vector<RouteDefinition> routes;
  for (int i = 0; i < 300; ++i) {
    std::string id = std::to_string(1000 + i);
    std::vector<std::string> texts;
    for (int t = 0; t <= i % 5; ++t) texts.push_back("example " + id + " " + std::to_string(t));
    routes.push_back(fixtures::text_route(id, texts, dimension));
    routes.back().metadata = "\"" + std::string(static_cast<std::size_t>(i) * 7, 'm') + "\"";
  }
  std::vector<std::string> texts;
  for (int t = 0; t < 2500; ++t) texts.push_back("long " + std::to_string(t));
  routes.push_back(fixtures::text_route("9000", texts, dimension));
  routes.push_back(fixtures::text_route("9001", {"the last"}, dimension));
  return routes;
}

struct Bench {
  TenantBinding acme = fixtures::binding("acme");
  TenantBinding globex = fixtures::binding("globex");
  std::vector<RouteDefinition> routes = many_routes();
  TenantRouter router{TenantId::parse("acme").value(),
                      fixtures::snapshot(routes, fixtures::settings(dimension))};
  HandlerServices services;
  std::vector<EditJob> jobs;
  std::vector<UsageSample> samples;
  Dispatcher dispatcher{services,
                        [this](EditJob job) {
                          jobs.push_back(std::move(job));
                          return Status{};
                        },
                        [this](const UsageSample& sample) { samples.push_back(sample); }};
  std::vector<std::byte> out;

  Bench() {
    services.router = &router;
    services.settings = fixtures::settings(dimension);
  }
  template <class T>
  Dispatched dispatch(const TenantBinding& tenant, const T& message, std::uint16_t flags = 0) {
    std::vector<std::byte> payload;
    REQUIRE(encode(message, payload));
    FrameHeader header;
    header.type = static_cast<std::uint16_t>(T::type);
    header.flags = flags;
    header.request_id = 11;
    header.size = static_cast<std::uint32_t>(payload.size());
    out.clear();
    return dispatcher.dispatch(3, tenant.context(), header, payload, out);
  }
  FrameHeader answer() const {
    FrameHeader header;
    REQUIRE(out.size() >= sizeof header);
    std::memcpy(&header, out.data(), sizeof header);
    REQUIRE(out.size() == sizeof header + header.size);
    return header;
  }
  ErrorCode error() const {
    REQUIRE(answer().type == static_cast<std::uint16_t>(MessageType::error));
    const auto message = decode<ErrorMessage>(std::span(out).subspan(sizeof(FrameHeader)));
    return static_cast<ErrorCode>(message.value().code);
  }
};

}  // namespace

TEST_CASE("pages fit frames and join to every route and utterance, in order, once") {
  Bench bench;
  for (const bool with_embeddings : {false, true}) {
    RoutesPageRequest request;
    request.with_utterances = true;
    request.with_embeddings = with_embeddings;
    std::vector<RouteMessage> joined;
    int pages = 0;
    for (;; ++pages) {
      const auto page = handle_page(bench.services, bench.acme.context(), request).value();
      std::vector<std::byte> frame;
      REQUIRE(append_frame(frame, 1, page));
      REQUIRE_FALSE(page.routes.empty());
      for (const RouteListing& listing : page.routes) {
        if (joined.empty() || joined.back().id != listing.route.id) {
          joined.push_back(listing.route);
          continue;
        }
        auto& utterances = joined.back().utterances;
        utterances.insert(utterances.end(), listing.route.utterances.begin(),
                          listing.route.utterances.end());
      }
      if (!page.more) break;
      request.after_route = page.next_route;
      request.after_utterance = page.next_utterance;
    }
    CHECK(pages > 5);
    REQUIRE(joined.size() == bench.routes.size());
    for (std::size_t i = 0; i < joined.size(); ++i) {
      const RouteDefinition& wanted = bench.routes[i];
      REQUIRE(joined[i].id == wanted.id);
      REQUIRE(joined[i].metadata == wanted.metadata);
      REQUIRE(joined[i].utterances.size() == wanted.utterances.size());
      for (std::size_t u = 0; u < wanted.utterances.size(); ++u) {
        REQUIRE(joined[i].utterances[u].text == wanted.utterances[u].text);
        REQUIRE(joined[i].utterances[u].embedding.size() == (with_embeddings ? dimension : 0U));
      }
    }
  }
}

TEST_CASE("rules, priority, margin and aggregation go in by an edit and come out in a page") {
  Bench bench;
  RoutesEdit edit;
  RouteMessage& route = edit.edits.emplace_back().route;
  route.id = "r";
  route.priority = -3;
  route.has_margin = true;
  route.margin = 0.25F;
  route.aggregation = 4;
  route.rules = {{RuleKindCode::pattern, RuleModeCode::always, "^/r"},
                 {RuleKindCode::keyword, RuleModeCode::never, "other"}};
  std::vector<RouteEdit> edits = to_edits(RoutesEdit(edit));
  CHECK(edits[0].route.aggregation == Aggregation::centroid);
  REQUIRE(validate_route(edits[0].route, dimension));
  TenantRouter router(TenantId::parse("acme").value(),
                      fixtures::snapshot({edits[0].route}, fixtures::settings(dimension)));
  bench.services.router = &router;
  const auto page = handle_page(bench.services, bench.acme.context(), {}).value();
  CHECK(to_json(page.routes.at(0).route) == to_json(route));
  edit.edits[0].route.aggregation = 6;
  CHECK_FALSE(validate_route(to_edits(RoutesEdit(edit))[0].route, dimension));

  RouteRequest request;
  request.text = "/r please";
  request.explain = true;
  const auto reply = handle_route(bench.services, bench.acme.context(), request).value();
  CHECK(reply.best.route == "r");
  CHECK(reply.best.confidence == 1.0F);
  REQUIRE(reply.rules.size() == 1);
  CHECK(reply.rules[0].route == "r");
  CHECK(reply.rules[0].rule.text == "^/r");
  CHECK(reply.rules[0].rule.mode == RuleModeCode::always);
  request.text = "/r or other";
  const auto excluded = handle_route(bench.services, bench.acme.context(), request).value();
  CHECK(excluded.is_fallback);
  CHECK(excluded.reason == DecisionReason::excluded);
  CHECK(excluded.rules.at(0).rule.text == "other");
}

TEST_CASE("a route with all that it may have fits a page, and an explanation a frame") {
  Bench bench;
  RouteDefinition route = fixtures::text_route("r", {std::string(16'000, 'u')}, dimension);
  route.description.assign(4096, 'd');
  route.metadata = "\"" + std::string(16'382, 'm') + "\"";
  route.tags.assign(32, std::string(64, 't'));
  route.rules.assign(64, {RuleKind::keyword, RuleMode::signal, "word " + std::string(251, 'k')});
  REQUIRE(validate_route(route, dimension));
  TenantRouter router(TenantId::parse("acme").value(),
                      fixtures::snapshot({route}, fixtures::settings(dimension)));
  bench.services.router = &router;
  RoutesPageRequest request;
  request.with_utterances = request.with_embeddings = true;
  std::vector<std::byte> frame;
  CHECK(append_frame(frame, 1, handle_page(bench.services, bench.acme.context(), request).value()));
  const std::string text = "word " + std::string(251, 'k');
  RouteRequest asked;
  asked.text = text;
  asked.explain = true;
  const auto reply = handle_route(bench.services, bench.acme.context(), asked).value();
  CHECK(reply.rules.size() == max_explained_rules);
  CHECK(append_frame(frame, 2, reply));
}

TEST_CASE("limits and filters of a request, alone and in a batch") {
  Bench bench;
  RouteBatch batch;
  for (int i = 0; i < 3; ++i) {
    RouteRequest& item = batch.items.emplace_back();
    item.text = "example 1003";
    item.alternatives = 2;
  }
  batch.items[1].only_routes = {"1007", "unknown"};
  batch.items[2].limit = 65;
  const auto reply = handle_route_batch(bench.services, bench.acme.context(), batch).value();
  CHECK(reply.items[0].reply.best.route == "1003");
  CHECK(reply.items[0].reply.alternatives.size() == 2);
  REQUIRE(reply.items[1].answered);
  CHECK(reply.items[1].reply.alternatives.size() <= 1);
  for (const ScoredRoute& other : reply.items[1].reply.alternatives) CHECK(other.route == "1007");
  CHECK_FALSE(reply.items[2].answered);
  CHECK(reply.items[2].error.field == "limit");
}

TEST_CASE("one route's pages stay inside it; cursors that contradict are refused") {
  Bench bench;
  RoutesPageRequest request;
  request.only_route = "9000";
  request.with_utterances = true;
  std::size_t utterances = 0;
  for (;;) {
    const auto page = handle_page(bench.services, bench.acme.context(), request).value();
    REQUIRE(page.routes.size() == 1);
    CHECK(page.routes[0].utterance_count == 2500);
    utterances += page.routes[0].route.utterances.size();
    if (!page.more) break;
    REQUIRE(page.next_route == "9000");
    request.after_route = page.next_route;
    request.after_utterance = page.next_utterance;
  }
  CHECK(utterances == 2500);
  request.after_route = "1000";
  CHECK(handle_page(bench.services, bench.acme.context(), request).error().field == "after_route");
  request = {};
  request.after_utterance = 1;
  CHECK(handle_page(bench.services, bench.acme.context(), request).error().field ==
        "after_utterance");
}

TEST_CASE("another tenant's context gets nothing from any handler") {
  Bench bench;
  RouteRequest route;
  route.text = "example";
  CHECK(bench.dispatch(bench.globex, route) == Dispatched::answered);
  CHECK(bench.error() == ErrorCode::no_tenant);
  CHECK(bench.dispatch(bench.globex, RoutesPageRequest{}) == Dispatched::answered);
  CHECK(bench.error() == ErrorCode::no_tenant);
  CHECK(bench.dispatch(bench.globex, TenantStatsRequest{}) == Dispatched::answered);
  CHECK(bench.error() == ErrorCode::no_tenant);
}

TEST_CASE("only what the rule table lets a client send to a worker is dispatched") {
  Bench bench;
  for (std::uint32_t type = 0; type < 300; ++type) {
    CAPTURE(type);
    FrameHeader header;
    header.type = static_cast<std::uint16_t>(type);
    header.request_id = 1;
    bench.out.clear();
    const Dispatched dispatched =
        bench.dispatcher.dispatch(1, bench.acme.context(), header, {}, bench.out);
    const MessageRule* const rule = find_message_rule(header.type);
    const bool may = rule != nullptr && rule->type != MessageType::choose_transport &&
                     (rule->sender == Sender::client || rule->sender == Sender::client_to_worker);
    // Some messages are whole without a payload; for the others it is malformed.
    const bool whole =
        may &&
        (rule->type == MessageType::ping || rule->type == MessageType::tenant_stats_request ||
         rule->type == MessageType::cache_clear || rule->type == MessageType::cache_stats_request);
    CHECK(dispatched == (whole ? Dispatched::answered : Dispatched::peer_fault));
    CHECK(bench.answer().request_id == 1);
  }
}

TEST_CASE("what may have killed the worker is not run again, and only that") {
  Bench bench;
  for (const std::uint16_t suspect : std::initializer_list<std::uint16_t>{0, 1}) {
    bench.services.settings.suspect = suspect;
    for (const std::uint16_t attempts : std::initializer_list<std::uint16_t>{0, 1, 15}) {
      CAPTURE(attempts);
      RouteRequest request;
      request.text = "example";
      REQUIRE(bench.dispatch(bench.acme, request, attempts) == Dispatched::answered);
      const bool refused = suspect != 0 && attempts > 0;
      if (refused) {
        CHECK(bench.error() == ErrorCode::internal);
      } else {
        CHECK(bench.answer().type == static_cast<std::uint16_t>(MessageType::route_reply));
      }
    }
    CHECK(bench.dispatch(bench.acme, Ping{}, attempt_mask + 1) == Dispatched::peer_fault);
  }
}

TEST_CASE("edits are translated field by field and answered later") {
  Bench bench;
  RoutesEdit edit;
  for (const auto kind :
       {decltype(RouteEditMessage::kind)::add, decltype(RouteEditMessage::kind)::put,
        decltype(RouteEditMessage::kind)::add_utterances,
        decltype(RouteEditMessage::kind)::remove}) {
    auto& one = edit.edits.emplace_back();
    one.kind = kind;
    one.route.id = "billing";
  }
  edit.edits[0].route.has_threshold = true;  // 0 is a threshold
  edit.edits[0].route.description = "d";
  edit.edits[0].route.metadata = "{}";
  edit.edits[0].route.tags = {"t"};
  edit.edits[0].route.utterances.push_back({"text", {1.0F, 2.0F}, "other"});
  CHECK(bench.dispatch(bench.acme, edit) == Dispatched::deferred);
  CHECK(bench.out.empty());
  REQUIRE(bench.jobs.size() == 1);
  const EditJob& job = bench.jobs[0];
  CHECK(job.attachment_id == 3);
  CHECK(job.request_id == 11);
  CHECK(job.edits[0].kind == RouteEditKind::add);
  CHECK(job.edits[1].kind == RouteEditKind::put);
  CHECK(job.edits[2].kind == RouteEditKind::add_utterances);
  CHECK(job.edits[3].kind == RouteEditKind::remove);
  RouteDefinition wanted;
  wanted.id = "billing";
  wanted.description = "d";
  wanted.metadata = "{}";
  wanted.threshold = 0.0F;
  wanted.tags = {"t"};
  wanted.utterances.push_back({"text", {1.0F, 2.0F}, "other"});
  CHECK(job.edits[0].route == wanted);
  CHECK_FALSE(job.edits[1].route.threshold.has_value());
  bench.dispatcher.finish_edit({3, 11, RoutesEdited{5, 6, 7}}, bench.out);
  CHECK(bench.answer().type == static_cast<std::uint16_t>(MessageType::routes_edited));
  CHECK(bench.services.counters.requests == 1);
}

TEST_CASE("each answered request gives one usage sample with what the caller said") {
  Bench bench;
  RouteRequest route;
  route.text = "example 1000";
  route.user = "ada";
  route.department = "sales";
  route.labels = {{"app", "web"}};
  (void)bench.dispatch(bench.acme, route);
  REQUIRE(bench.samples.size() == 1);
  CHECK(bench.samples[0].operation == MessageType::route);
  CHECK(bench.samples[0].text_bytes == 12);
  CHECK(bench.samples[0].reply_bytes == bench.answer().size);
  CHECK_FALSE(bench.samples[0].failed);
  route.department = "\xff";
  (void)bench.dispatch(bench.acme, route);
  CHECK(bench.error() == ErrorCode::invalid_argument);
  REQUIRE(bench.samples.size() == 2);
  CHECK(bench.samples[1].failed);
  CHECK(bench.samples[1].department.empty());
  CHECK(bench.services.counters.errors == 1);
}

TEST_CASE("each request of a batch gives one usage sample, the frame's bytes once") {
  Bench bench;
  bench.services.settings.max_batch_size = 3;
  RouteBatch batch;
  batch.items.resize(3);
  batch.items[0].text = "example 1000";
  batch.items[1].user = "ada";
  batch.items[2].text = "example 1001";
  batch.items[2].department = "\xff";
  CHECK(bench.dispatch(bench.acme, batch) == Dispatched::answered);
  REQUIRE(bench.samples.size() == 3);
  CHECK(bench.samples[0].text_bytes == 12);
  CHECK(bench.samples[0].reply_bytes == bench.answer().size);
  CHECK_FALSE(bench.samples[0].failed);
  CHECK(bench.samples[1].reply_bytes == 0);
  CHECK(bench.samples[1].failed);
  CHECK(bench.samples[2].failed);
  CHECK(bench.samples[2].department.empty());
  CHECK(bench.services.counters.requests == 3);
  CHECK(bench.services.counters.errors == 2);
  CHECK(bench.dispatch(bench.globex, batch) == Dispatched::answered);
  CHECK(bench.error() == ErrorCode::no_tenant);
  CHECK(bench.samples.size() == 4);
  batch.items.resize(4);
  (void)bench.dispatch(bench.acme, batch);
  CHECK(bench.error() == ErrorCode::invalid_argument);
}

TEST_CASE("a batch whose answers do not fit a frame is one error") {
  Bench bench;
  bench.services.settings.max_batch_size = 128;
  RouteBatch batch;
  batch.items.resize(128);
  for (RouteRequest& item : batch.items) {
    item.text = "example";
    item.alternatives = 64;
  }
  (void)bench.dispatch(bench.acme, batch);
  CHECK(bench.error() == ErrorCode::resource_exhausted);
  CHECK(bench.services.counters.errors == 128);
}

}  // namespace handlers_test
