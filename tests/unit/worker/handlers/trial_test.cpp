#include <doctest/doctest.h>

#include <cstring>

#include "worker/handlers/dispatcher.h"
#include "worker/handlers/trial_handler.h"
// The protocol's headers come first: see translate.cpp.
#include "tests/unit/worker/router/fixtures.h"

using namespace tenantd;

namespace trial_test {

namespace {

constexpr std::uint32_t dimension = 64;

std::vector<RouteDefinition> desk() {
  return {
      fixtures::text_route("account",
                           {"I forgot my password", "reset the password of my account",
                            "cannot log in, password rejected"},
                           dimension),
      fixtures::text_route(
          "billing", {"where is my invoice", "the invoice is wrong", "send the invoice again"},
          dimension),
      fixtures::text_route(
          "shipping", {"where is my parcel", "the parcel is late", "track my parcel"}, dimension)};
}

struct Bench {
  TenantBinding acme = fixtures::binding("acme");
  TenantRouter router{TenantId::parse("acme").value(),
                      fixtures::snapshot(desk(), fixtures::settings(dimension))};
  TrialHandler handler;

  RoutesTried run(const RoutesTrial& trial) {
    auto tried = handler.run(router, acme.context(), trial);
    REQUIRE(tried);
    return std::move(*tried);
  }
  RouteDecision ask(const char* text) {
    RouteQuery query;
    query.text = text;
    query.alternatives_limit = 1;
    return router.route(acme.context(), query).value();
  }
};

}  // namespace

TEST_CASE("a trial with the settings as they are answers as the router does") {
  Bench bench;
  RoutesTrial trial;
  const std::vector<const char*> texts{"my password was rejected", "where is the invoice",
                                       "quantum chromodynamics", "?!"};
  for (const char* text : texts) trial.queries.push_back({text, {}});
  for (int round = 0; round < 2; ++round) {  // the second time nothing is calibrated again
    const RoutesTried tried = bench.run(trial);
    CHECK(tried.threshold == 0.5F);
    CHECK(tried.fallback == "fallback");
    CHECK(tried.utterances.empty());
    REQUIRE(tried.queries.size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const RouteDecision decision = bench.ask(texts[i]);
      CHECK(tried.queries[i].confidence == decision.confidence);
      if (!decision.is_fallback) CHECK(tried.queries[i].route == decision.route);
    }
    CHECK(tried.queries[2].route != "fallback");
    CHECK(tried.queries[3].route.empty());
  }
}

TEST_CASE("utterances are left out, with their route and without it") {
  Bench bench;
  RoutesTrial trial;
  trial.utterances = 512;
  const RoutesTried tried = bench.run(trial);
  REQUIRE(tried.utterances.size() == 9);
  std::size_t right = 0;
  for (const TrialUtterance& utterance : tried.utterances) {
    REQUIRE(utterance.has_answer);
    REQUIRE(utterance.has_stranger);
    right += utterance.answer.route == utterance.route ? 1 : 0;
    CHECK(utterance.stranger.route != utterance.route);
    CHECK_FALSE(utterance.stranger.route.empty());
  }
  CHECK(right >= 6);  // each route has a word of its own
  trial.utterances = 4;
  CHECK(bench.run(trial).utterances.size() == 4);
}

TEST_CASE("other settings change the answers, nothing of the tenant's, and are checked") {
  Bench bench;
  const float before = bench.ask("where is the invoice").confidence;
  RoutesTrial trial;
  trial.queries.push_back({"where is the invoice", {}});
  trial.as_they_are = false;
  trial.settings = {0.0F, 1.0F, 0, 1, 0};
  const RoutesTried words = bench.run(trial);
  CHECK(words.settings == trial.settings);
  CHECK(words.queries[0].route == "billing");
  CHECK(words.queries[0].confidence != before);
  trial.settings.dense_weight = 1.0F;
  CHECK(bench.run(trial).queries[0].confidence != words.queries[0].confidence);
  CHECK(bench.ask("where is the invoice").confidence == before);
  for (const TrialSettings& bad :
       {TrialSettings{0, 0, 0, 1, 0}, TrialSettings{-1, 1, 0, 1, 0}, TrialSettings{1, 0, 99, 1, 0},
        TrialSettings{1, 0, 0, 0, 0}, TrialSettings{1, 0, 0, 1, 10'001}}) {
    trial.settings = bad;
    const auto refused = bench.handler.run(bench.router, bench.acme.context(), trial);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::invalid_argument);
  }
}

TEST_CASE("a bad query is named, another tenant's context refused, too many queries too") {
  Bench bench;
  RoutesTrial trial;
  trial.queries.push_back({"fine", {}});
  trial.queries.push_back({"", {1.0F}});
  const auto refused = bench.handler.run(bench.router, bench.acme.context(), trial);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field.starts_with("queries[1]"));
  CHECK_FALSE(bench.handler.run(bench.router, fixtures::binding("globex").context(), {}));
  HandlerServices services;
  CHECK_FALSE(check_trial(services, trial));  // no router
  services.router = &bench.router;
  services.settings.max_batch_size = 1;
  CHECK_FALSE(check_trial(services, trial));
  services.settings.max_batch_size = 2;
  CHECK(check_trial(services, trial));
}

TEST_CASE("a trial waits for the editor thread, and its answer is counted like any other") {
  Bench bench;
  HandlerServices services;
  services.router = &bench.router;
  services.settings = fixtures::settings(dimension);
  std::vector<EditJob> jobs;
  std::vector<MessageType> sampled;
  Dispatcher dispatcher(
      services,
      [&jobs](EditJob job) {
        jobs.push_back(std::move(job));
        return Status{};
      },
      [&sampled](const UsageSample& sample) { sampled.push_back(sample.operation); });
  RoutesTrial trial;
  trial.queries.push_back({"where is the invoice", {}});
  std::vector<std::byte> payload;
  REQUIRE(encode(trial, payload));
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(MessageType::routes_trial);
  header.size = static_cast<std::uint32_t>(payload.size());
  header.request_id = 11;
  std::vector<std::byte> out;
  CHECK(dispatcher.dispatch(3, bench.acme.context(), header, payload, out) == Dispatched::deferred);
  REQUIRE(jobs.size() == 1);
  REQUIRE(jobs[0].trial);
  CHECK(jobs[0].edits.empty());
  EditResult result{3, 11, RoutesEdited{}};
  result.tried = bench.handler.run(bench.router, bench.acme.context(), *jobs[0].trial);
  dispatcher.finish_edit(result, out);
  REQUIRE(out.size() > sizeof(FrameHeader));
  FrameHeader answer;
  std::memcpy(&answer, out.data(), sizeof answer);
  CHECK(answer.type == static_cast<std::uint16_t>(MessageType::routes_tried));
  CHECK(sampled == std::vector{MessageType::routes_trial});
  result.tried = fail(ErrorCode::deadline_exceeded, "late");
  dispatcher.count_lost_answer(result);
  CHECK(services.counters.requests == 2);
  CHECK(services.counters.errors == 1);
}

}  // namespace trial_test
