// The cache's calls: what is sent, what comes back, over both transports and without waiting.
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "client/include/tenantd/async_client.h"
#include "client/include/tenantd/tenant_context.h"
#include "tests/unit/client/fake_server.h"

using namespace tenantd;
using namespace tenantd::test;

namespace cache_client_test {
namespace {

// A worker that keeps values; of a death after `requests` requests, if that is not 0.
FakeServer::Script keeping(int requests = 0) {
  return [requests](ServedAttachment& attachment, int number, const std::atomic<bool>& stop) {
    std::map<std::string, CacheValue> values;
    if (!attachment.welcome()) return;
    for (int served = 0;; ++served) {
      const auto request = attachment.next(stop);
      if (!request) return;
      if (number == 0 && requests != 0 && served == requests) return attachment.close();
      const std::uint64_t id = request->header.request_id;
      CacheChanged changed;
      switch (static_cast<MessageType>(request->header.type)) {
        case MessageType::cache_get: {
          const auto get = decode<CacheGet>(request->payload);
          attachment.answer(id, values[std::string(get->key)]);
          continue;
        }
        case MessageType::cache_set: {
          const auto set = decode<CacheSet>(request->payload);
          values[std::string(set->key)] = {true, set->kind, std::string(set->value), set->ttl_ms};
          break;
        }
        case MessageType::cache_delete:
          changed.removed = values.erase(std::string(decode<CacheDelete>(request->payload)->key));
          break;
        case MessageType::cache_clear:
          changed.removed = values.size();
          values.clear();
          break;
        case MessageType::cache_stats_request: {
          CacheStats stats;
          stats.values.entries = values.size();
          attachment.answer(id, stats);
          continue;
        }
        default:
          attachment.serve(*request);
          continue;
      }
      changed.entries = values.size();
      attachment.answer(id, changed);
    }
  };
}

ConnectOptions options_for(const FakeServer& server, Transport transport) {
  ConnectOptions options;
  options.socket_path = server.path();
  options.transport = transport;
  return options;
}

}  // namespace

TEST_CASE("set, get, delete, clear and stats, over both transports") {
  for (const Transport transport : {Transport::ring, Transport::stream}) {
    FakeServer server(keeping());
    auto client = Client::open("acme-corp", options_for(server, transport));
    REQUIRE(client);
    const std::string value("\0\xff", 2);
    CHECK_FALSE(client->cache_get("k")->found);
    CHECK(client->cache_clear()->removed == 1);
    CHECK(client->cache_set("k", value, 5000, CacheValueKind::json)->entries == 1);
    const auto got = client->cache_get("k");
    REQUIRE(got);
    CHECK(got->value == value);
    CHECK(got->kind == CacheValueKind::json);
    CHECK(got->ttl_left_ms == 5000);
    CHECK(client->cache_stats()->values.entries == 1);
    CHECK(client->cache_delete("k")->removed == 1);
    const std::string large(max_cache_value_bytes, 'v');
    CHECK(client->cache_set("large", large));
    CHECK(client->cache_get("large")->value == large);
    // What is over its bound is not sent.
    const std::string key(max_cache_key_bytes + 1, 'k');
    CHECK(client->cache_get(key).error().field == "key");
    CHECK(client->cache_set("k", large + "v").error().field == "value");
    CHECK(client->statistics().calls >= 8);
  }
}

TEST_CASE("calls are sent again to the next worker, whose cache is empty") {
  FakeServer server(keeping(1));
  auto client = Client::open("acme-corp", options_for(server, Transport::stream));
  REQUIRE(client);
  CHECK(client->cache_set("k", "v"));
  const auto got = client->cache_get("k");  // the first worker dies of it
  REQUIRE(got);
  CHECK_FALSE(got->found);
  CHECK(server.accepted() == 2);
}

TEST_CASE("the cache without waiting, and in a tenant's context") {
  FakeServer server(keeping());
  AsyncOptions options;
  options.connect.socket_path = server.path();
  auto client = AsyncClient::open("acme-corp", options);
  REQUIRE(client);
  std::string value;
  std::uint64_t removed = 0;
  CHECK(client->cache_set({"k", "v", CacheValueKind::text, 0},
                          [](const Result<CacheChanged>& done) { CHECK(done->entries == 1); }));
  CHECK(client->cache_get("k", [&](const Result<CacheValue>& got) { value = got->value; }));
  CHECK(client->cache_delete("k",
                             [&](const Result<CacheChanged>& done) { removed = done->removed; }));
  while (client->outstanding() > 0) REQUIRE(client->wait(10'000));
  CHECK(value == "v");
  CHECK(removed == 1);
  // The fake server speaks with one client at a time.
  { const auto gone = std::move(*client); }
  PoolOptions pool_options;
  pool_options.connect = options_for(server, Transport::ring);
  auto pool = ClientPool::open(pool_options);
  REQUIRE(pool);
  auto context = TenantContext::enter(*pool, "acme-corp");
  REQUIRE(context);
  CHECK(context->cache_set("k", "v", 7));
  CHECK(context->cache_get("k")->ttl_left_ms == 7);
  CHECK(context->cache_delete("k")->removed == 1);
}

}  // namespace cache_client_test
