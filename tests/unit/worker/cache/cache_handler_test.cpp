#include "worker/handlers/cache_handler.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "worker/handlers/dispatcher.h"
#include "worker/handlers/frames.h"
// The protocol's headers come first: see translate.cpp.
#include "tests/unit/worker/router/fixtures.h"
#include "worker/cache/tenant_caches.h"

using namespace tenantd;

namespace cache_handler_test {
namespace {

constexpr std::uint32_t dimension = 16;

struct Worker {
  TenantBinding acme = fixtures::binding("acme");
  TenantBinding globex = fixtures::binding("globex");
  HandlerServices services;
  TenantRouter router;
  TenantCaches caches;
  int counted = 0;
  Dispatcher dispatcher{services, [](EditJob) { return Status{}; },
                        [this](const UsageSample&) { ++counted; }};
  std::vector<std::byte> out;

  static TenantSettings tenant() {
    TenantSettings settings = fixtures::settings(dimension);
    settings.router.cache_enabled = 1;
    return settings;
  }
  Worker()
      : router(TenantId::parse("acme").value(),
               fixtures::snapshot({fixtures::text_route("billing", {"refund me"}, dimension)},
                                  tenant())),
        caches(TenantId::parse("acme").value(), tenant()) {
    services.settings = tenant();
    services.router = &router;
    services.caches = &caches;
  }
  Dispatched send(const TenantBinding& as, MessageType type, std::vector<std::byte> payload) {
    FrameHeader header;
    header.type = static_cast<std::uint16_t>(type);
    header.request_id = 5;
    header.size = static_cast<std::uint32_t>(payload.size());
    out.clear();
    return dispatcher.dispatch(1, as.context(), header, payload, out);
  }
  // The answer to a message, or the error it was answered with.
  template <class Reply, class T>
  Result<Reply> ask(const T& message, const TenantBinding& as) {
    std::vector<std::byte> payload;
    REQUIRE(encode(message, payload));
    REQUIRE(send(as, T::type, payload) == Dispatched::answered);
    FrameHeader header;
    REQUIRE(out.size() >= sizeof header);
    std::memcpy(&header, out.data(), sizeof header);
    REQUIRE(header.request_id == 5);
    const auto answer = std::span(out).subspan(sizeof header);
    if (header.type == static_cast<std::uint16_t>(MessageType::error)) {
      return fail(decode<ErrorMessage>(answer).value().to_error());
    }
    REQUIRE(header.type == static_cast<std::uint16_t>(Reply::type));
    auto reply = decode<Reply>(answer);
    REQUIRE(reply);
    return reply;
  }
};

}  // namespace

TEST_CASE("set, get, delete, clear and stats over frames") {
  Worker worker;
  const std::string value("\0\xff bytes", 8);
  const CacheSet set{"routes", value, CacheValueKind::json, 60'000};
  CHECK(worker.ask<CacheChanged>(set, worker.acme)->entries == 1);
  const auto got = worker.ask<CacheValue>(CacheGet{"routes"}, worker.acme);
  REQUIRE(got);
  CHECK(got->found);
  CHECK(got->value == value);
  CHECK(got->kind == CacheValueKind::json);
  CHECK(got->ttl_left_ms > 0);
  CHECK(got->ttl_left_ms <= 60'000);
  CHECK_FALSE(worker.ask<CacheValue>(CacheGet{"acme:routes"}, worker.acme)->found);
  CHECK(worker.ask<CacheChanged>(CacheDelete{"routes"}, worker.acme)->removed == 1);
  CHECK(worker.ask<CacheChanged>(CacheDelete{"routes"}, worker.acme)->removed == 0);
  CHECK(worker.ask<CacheChanged>(set, worker.acme)->removed == 0);
  CHECK(worker.ask<CacheChanged>(CacheClear{}, worker.acme)->removed == 1);
  const auto stats = worker.ask<CacheStats>(CacheStatsRequest{}, worker.acme);
  REQUIRE(stats);
  CHECK(stats->values.hits == 1);
  CHECK(stats->values.misses == 1);
  CHECK(stats->values.entries == 0);
  CHECK(stats->values.max_bytes == 12U << 20U);
  CHECK(stats->routing.max_bytes == 4U << 20U);
  CHECK(worker.counted == 8);
  CHECK(worker.services.counters.requests == 8);
}

TEST_CASE("the largest value and the longest key fit their frames") {
  Worker worker;
  const std::string key(max_cache_key_bytes, 'k');
  const std::string value(max_cache_value_bytes, '\xfe');
  CHECK(worker.ask<CacheChanged>(CacheSet{key, value, CacheValueKind::bytes, 0}, worker.acme));
  const auto got = worker.ask<CacheValue>(CacheGet{key}, worker.acme);
  REQUIRE(got);
  CHECK(got->value == value);
  CHECK(got->ttl_left_ms == 0);
}

TEST_CASE("what is wrong is answered, what is malformed costs the attachment") {
  Worker worker;
  CHECK(worker.ask<CacheValue>(CacheGet{""}, worker.acme).error().field == "key");
  CHECK(worker.ask<CacheValue>(CacheGet{"a\nb"}, worker.acme).error().field == "key");
  const CacheSet late{"k", "v", CacheValueKind::bytes, max_cache_ttl_ms + 1};
  CHECK(worker.ask<CacheChanged>(late, worker.acme).error().field == "ttl_ms");
  for (const MessageType type :
       {MessageType::cache_get, MessageType::cache_set, MessageType::cache_delete,
        MessageType::cache_clear, MessageType::cache_stats_request}) {
    CHECK(worker.send(worker.acme, type, std::vector<std::byte>(3)) == Dispatched::peer_fault);
  }
  CHECK(worker.send(worker.acme, MessageType::cache_value, {}) == Dispatched::peer_fault);
  worker.services.caches = nullptr;
  CHECK(worker.ask<CacheValue>(CacheGet{"k"}, worker.acme).error().code == ErrorCode::unsupported);
}

TEST_CASE("another tenant's attachment gets nothing from here") {
  Worker worker;
  REQUIRE(worker.ask<CacheChanged>(CacheSet{"k", "v", CacheValueKind::text, 0}, worker.acme));
  CHECK(worker.ask<CacheValue>(CacheGet{"k"}, worker.globex).error().code == ErrorCode::no_tenant);
  CHECK(worker.ask<CacheChanged>(CacheDelete{"k"}, worker.globex).error().code ==
        ErrorCode::no_tenant);
  CHECK(worker.ask<CacheChanged>(CacheClear{}, worker.globex).error().code == ErrorCode::no_tenant);
  CHECK(worker.ask<CacheStats>(CacheStatsRequest{}, worker.globex).error().code ==
        ErrorCode::no_tenant);
  CHECK(worker.ask<CacheValue>(CacheGet{"k"}, worker.acme)->found);
}

TEST_CASE("routes are answered from memory where the tenant's file says so, and say it") {
  Worker worker;
  RouteRequest request;
  request.text = "refund me";
  request.user = "alice";
  CHECK(worker.ask<RouteReply>(request, worker.acme)->source == AnswerSource::computed);
  request.user = "bob";  // who asks does not matter
  const auto again = worker.ask<RouteReply>(request, worker.acme);
  CHECK(again->source == AnswerSource::cached);
  CHECK(again->source_similarity == 1);
  CHECK(again->best.route == "billing");
  RouteBatch batch;
  batch.items = {request, request};
  batch.items[1].text = "another";
  const auto replies = worker.ask<RouteBatchReply>(batch, worker.acme);
  CHECK(replies->items[0].reply.source == AnswerSource::cached);
  CHECK(replies->items[1].reply.source == AnswerSource::computed);
  request.explain = true;
  CHECK(worker.ask<RouteReply>(request, worker.acme)->source == AnswerSource::computed);
  request.explain = false;
  CHECK(worker.ask<CacheStats>(CacheStatsRequest{}, worker.acme)->routing.hits == 2);
  worker.services.settings.router.cache_enabled = 0;
  CHECK(worker.ask<RouteReply>(request, worker.acme)->source == AnswerSource::computed);
}

}  // namespace cache_handler_test
