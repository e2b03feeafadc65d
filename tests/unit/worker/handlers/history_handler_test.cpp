// What a request leaves in the history, and who may ask for it.
#include "worker/handlers/history_handler.h"

#include <doctest/doctest.h>

#include <cstring>

#include "shared/base/clock.h"
#include "worker/handlers/frames.h"
#include "worker/history/execution_recorder.h"
// The protocol's headers come first: see translate.cpp.
#include "tests/unit/worker/router/fixtures.h"
#include "worker/cache/tenant_caches.h"

using namespace tenantd;

namespace history_handler_test {

namespace {

constexpr std::uint32_t dimension = 16;
constexpr Caller user{1000, 0x9f86d081, false};

struct Bench {
  TenantBinding acme = fixtures::binding("acme");
  TenantBinding globex = fixtures::binding("globex");
  std::vector<RouteDefinition> routes{
      fixtures::text_route("billing", {"where is my invoice"}, dimension)};
  TenantRouter router{TenantId::parse("acme").value(),
                      fixtures::snapshot(routes, fixtures::settings(dimension))};
  HandlerServices services;
  TenantCaches caches{TenantId::parse("acme").value(), TenantSettings{}};
  ExecutionRecorder recorder{TenantId::parse("acme").value(), 64, 1,
                             [](ExecutionRecorder::Urgency) {}};
  std::vector<EditJob> jobs;
  Dispatcher dispatcher{services,
                        [this](EditJob job) {
                          jobs.push_back(std::move(job));
                          return Status{};
                        },
                        UsageSink()};
  std::vector<std::byte> out;

  Bench() {
    services.router = &router;
    services.caches = &caches;
    services.settings = fixtures::settings(dimension);
    services.recorder = &recorder;
    recorder.set_sample(acme.context(), 1'000'000);
  }
  template <class T>
  Dispatched dispatch(const T& message, const Caller& caller = user) {
    return dispatch_as(acme, message, caller);
  }
  template <class T>
  Dispatched dispatch_as(const TenantBinding& tenant, const T& message, const Caller& caller) {
    std::vector<std::byte> payload;
    REQUIRE(encode(message, payload));
    FrameHeader header;
    header.type = static_cast<std::uint16_t>(T::type);
    header.request_id = 11;
    header.size = static_cast<std::uint32_t>(payload.size());
    out.clear();
    return dispatcher.dispatch(3, tenant.context(), header, payload, out, caller);
  }
  template <class T>
  T answer() const {
    FrameHeader header;
    REQUIRE(out.size() >= sizeof header);
    std::memcpy(&header, out.data(), sizeof header);
    REQUIRE(header.type == static_cast<std::uint16_t>(T::type));
    return decode<T>(std::span(out).subspan(sizeof header)).value();
  }
  std::vector<ExecutionRecord> take() {
    std::vector<ExecutionRecord> records;
    recorder.take(acme.context(), [&](auto first, auto second) {
      for (const auto part : {first, second})
        records.insert(records.end(), part.begin(), part.end());
    });
    return records;
  }
};

ExecutionOutcome outcome_of(const ExecutionRecord& record) {
  return static_cast<ExecutionOutcome>(record.outcome);
}

}  // namespace

TEST_CASE("a request leaves who, what and how long, and nothing of its text") {
  Bench bench;
  RouteRequest request;
  request.text = "where is my invoice";
  const std::int64_t before_us = wall_clock_us();
  REQUIRE(bench.dispatch(request) == Dispatched::answered);
  const auto reply = bench.answer<RouteReply>();
  const auto records = bench.take();
  REQUIRE(records.size() == 1);
  const ExecutionRecord& record = records[0];
  CHECK(record.time_us >= before_us);
  CHECK(record.time_us <= wall_clock_us());
  CHECK(record.request_id == 11);
  CHECK(record.caller == user);
  CHECK(record.route.view() == reply.best.route);
  CHECK(record.confidence == reply.best.confidence);
  CHECK(outcome_of(record) ==
        (reply.is_fallback ? ExecutionOutcome::fallback : ExecutionOutcome::matched));
  const std::string_view bytes(reinterpret_cast<const char*>(&record), sizeof record);
  CHECK(bytes.find("invoice") == std::string_view::npos);
}

TEST_CASE("outcomes: an error, a remembered answer, and each item of a batch") {
  Bench bench;
  bench.services.settings.router.cache_enabled = 1;
  TenantSettings cached = bench.services.settings;
  REQUIRE(bench.caches.apply(bench.acme.context(), cached, 1));
  RouteRequest request;
  request.text = "where is my invoice";
  for (int i = 0; i < 2; ++i) REQUIRE(bench.dispatch(request) == Dispatched::answered);
  RouteRequest wrong;  // neither text nor vector
  REQUIRE(bench.dispatch(wrong) == Dispatched::answered);
  auto records = bench.take();
  REQUIRE(records.size() == 3);
  CHECK(outcome_of(records[0]) != ExecutionOutcome::cached);
  CHECK(outcome_of(records[1]) == ExecutionOutcome::cached);
  CHECK(outcome_of(records[2]) == ExecutionOutcome::error);
  CHECK(records[2].route.view().empty());
  RouteBatch batch;
  batch.items = {request, wrong, request};
  REQUIRE(bench.dispatch(batch) == Dispatched::answered);
  records = bench.take();
  REQUIRE(records.size() == 3);
  CHECK(outcome_of(records[0]) == ExecutionOutcome::cached);
  CHECK(outcome_of(records[1]) == ExecutionOutcome::error);
  CHECK(records[2].request_id == 11);
}

TEST_CASE("nothing is recorded without a recorder, unsampled, or for another tenant") {
  Bench bench;
  RouteRequest request;
  request.text = "where is my invoice";
  (void)bench.dispatch_as(bench.globex, request, user);
  CHECK(bench.take().empty());
  bench.recorder.set_sample(bench.acme.context(), 0);
  (void)bench.dispatch(request);
  CHECK(bench.take().empty());
  bench.recorder.set_sample(bench.acme.context(), 1'000'000);
  bench.services.recorder = nullptr;
  (void)bench.dispatch(request);
  CHECK(bench.take().empty());
}

TEST_CASE("a history is read by operators only, on the editor thread") {
  Bench bench;
  const Caller administrator{0, 0, true};
  CHECK(bench.dispatch(ExecutionsRequest{}) == Dispatched::answered);
  CHECK(bench.answer<ErrorMessage>().to_error().code == ErrorCode::permission_denied);
  CHECK(bench.dispatch(RetentionRequest{true}, Caller{}) == Dispatched::answered);
  CHECK(bench.answer<ErrorMessage>().to_error().code == ErrorCode::permission_denied);
  CHECK(bench.jobs.empty());
  CHECK(bench.dispatch(ExecutionsRequest{1, 2, 3, 4, 5}, administrator) == Dispatched::deferred);
  CHECK(bench.dispatch(RetentionRequest{true}, administrator) == Dispatched::deferred);
  REQUIRE(bench.jobs.size() == 2);
  CHECK(std::get<ExecutionsRequest>(*bench.jobs[0].history).since_us == 1);
  CHECK(std::get<RetentionRequest>(*bench.jobs[1].history).run);
  CHECK(bench.jobs[0].edits.empty());
  EditResult result{3, 11, RoutesEdited{}};
  Executions page;
  page.dropped = 9;
  result.told = HistoryAnswer(page);
  bench.out.clear();
  bench.dispatcher.finish_edit(result, bench.out);
  CHECK(bench.answer<Executions>().dropped == 9);
  result.told = fail(ErrorCode::store_degraded, "full");
  bench.out.clear();
  const std::uint64_t errors = bench.services.counters.errors;
  bench.dispatcher.finish_edit(result, bench.out);
  CHECK(bench.answer<ErrorMessage>().to_error().code == ErrorCode::store_degraded);
  bench.dispatcher.count_lost_answer(result);
  CHECK(bench.services.counters.errors == errors + 2);
}

}  // namespace history_handler_test
