// A pooled worker: tenants that share a process know nothing of each other, sleep and come back.
#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <random>

#include "tests/unit/worker/runtime/desk.h"

namespace tenantd::test {
namespace {

constexpr std::uint32_t shards = 4;

LaunchSpec pool_spec(std::uint64_t memory_max_bytes = 0) {
  LaunchSpec spec = test_spec();
  (void)spec.tenant.tenant_id.assign("tenantd-pool-0");
  spec.shard_count = shards;
  for (std::uint32_t shard = 0; shard < shards; ++shard) spec.shards.add(shard);
  spec.memory_max_bytes = memory_max_bytes;
  return spec;
}

struct Pool {
  TemporaryDirectory directory;
  LaunchSpec spec;
  std::optional<WorkerProcess> worker;

  explicit Pool(LaunchSpec with = pool_spec()) : spec(with) {
    for (std::uint32_t shard = 0; shard < max_shards; ++shard) {
      if (!spec.shards.has(shard)) continue;
      REQUIRE(::mkdir((directory.path() + '/' + shard_directory_name(shard)).c_str(), 0700) == 0);
    }
    restart();
  }
  void restart() {
    worker.reset();
    worker.emplace(directory.path(), spec);
    const bool ready = worker->link.await<Ready>().has_value();
    INFO(worker->log());
    REQUIRE(ready);
  }
  static TenantSettings settings_of(const std::string& tenant) {
    TenantSettings settings = test_settings();
    REQUIRE(settings.tenant_id.assign(tenant));
    return settings;
  }
  void announce(const TenantSettings& settings) {
    auto message = make_link_message<Settings>(spec.generation);
    message.settings = settings;
    worker->link.send(message);
  }
  UniqueFd attach(const std::string& tenant) {
    announce(settings_of(tenant));
    return worker->attach(tenant);
  }
  RawClient client(const std::string& tenant, Transport transport) {
    RawClient client(attach(tenant));
    REQUIRE(client.choose(transport));
    return client;
  }
  // True once the status is as wanted.
  template <class Wanted>
  bool settles(Wanted wanted) {
    const std::uint64_t until = monotonic_ns() + std::uint64_t{patience_ms} * 1'000'000;
    while (monotonic_ns() < until) {
      if (wanted(worker->status())) return true;
    }
    return false;
  }
};

ErrorCode refusal(UniqueFd socket) {
  FrameHeader header;
  std::array<std::byte, 1024> bytes;
  REQUIRE(wait_readable(socket.get()));
  const auto received = receive_bytes(socket.get(), bytes).value();
  REQUIRE(received.size > sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto message = decode<ErrorMessage>(std::span(bytes).subspan(sizeof header, header.size));
  return static_cast<ErrorCode>(message.value().code);
}

std::string routed(RawClient& client, std::uint64_t id, const std::string& text) {
  const Frame frame = client.call(id, ask(text));
  REQUIRE(frame.type() == MessageType::route_reply);
  return std::string(frame.as<RouteReply>().best.route);
}

// Of a shard that `other` is not in.
std::string tenant_elsewhere(const std::string& other) {
  for (int i = 0;; ++i) {
    const std::string id = "t" + std::to_string(i);
    if (shard_of(id, shards) != shard_of(other, shards)) return id;
  }
}

}  // namespace

TEST_CASE("tenants of one pooled worker have the same names for different things") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    Pool pool;
    RawClient acme = pool.client("acme", transport);
    RawClient globex = pool.client("globex", transport);
    REQUIRE(acme.call(1, put_route("one", {"alpha beta gamma"})).type() ==
            MessageType::routes_edited);
    const Frame edited = globex.call(1, put_route("one", {"delta epsilon", "zeta eta"}));
    REQUIRE(edited.type() == MessageType::routes_edited);
    CHECK(edited.as<RoutesEdited>().routes == 1);
    CHECK(edited.as<RoutesEdited>().utterances == 2);
    CHECK(routed(acme, 2, "alpha beta gamma") == "one");
    CHECK(routed(globex, 2, "delta epsilon") == "one");
    RoutesEdit removal;
    removal.edits.emplace_back().kind = EditKind::remove;
    removal.edits.back().route.id = "one";
    REQUIRE(globex.call(3, removal).type() == MessageType::routes_edited);
    CHECK(routed(globex, 4, "alpha beta gamma") == "human");
    CHECK(routed(acme, 4, "alpha beta gamma") == "one");
    CHECK(pool.worker->status().open_tenants == 2);
    pool.restart();
    RawClient again = pool.client("acme", transport);
    CHECK(routed(again, 1, "alpha beta gamma") == "one");
  }
}

TEST_CASE("who is attached, and to what, is the supervisor's word within the worker's own shards") {
  const std::string mine = "acme";
  const std::string other = tenant_elsewhere(mine);
  LaunchSpec spec = pool_spec();
  spec.shards = ShardSet{};
  spec.shards.add(shard_of(mine, shards));
  Pool pool(spec);
  CHECK(refusal(pool.attach(other)) == ErrorCode::permission_denied);
  CHECK(refusal(pool.worker->attach(mine)) == ErrorCode::internal);  // no settings came before
  RawClient client = pool.client(mine, Transport::stream);
  CHECK(routed(client, 1, "anything") == "human");
}

TEST_CASE("a tenant's rows move to its own shard while the worker serves the others") {
  constexpr std::uint32_t own = shards + 5;
  LaunchSpec spec = pool_spec();
  spec.shards.add(own);
  Pool pool(spec);
  {
    RawClient client = pool.client("acme", Transport::stream);
    REQUIRE(client.call(1, put_route("one", {"alpha beta"})).type() == MessageType::routes_edited);
  }
  auto order = make_link_message<MoveRows>(spec.generation);
  REQUIRE(order.tenant_id.assign("acme"));
  order.from = shard_of("acme", shards);
  order.to = own;
  pool.worker->link.send(order);
  const auto early = pool.worker->link.await<RowsMoved>();
  REQUIRE(early);
  CHECK(early->done == 0);  // it was open
  pool.restart();
  RawClient bystander = pool.client("globex", Transport::ring);
  for (int i = 0; i < 2; ++i) {  // the second time there is nothing left to do
    pool.worker->link.send(order);
    const auto moved = pool.worker->link.await<RowsMoved>();
    REQUIRE(moved);
    CHECK(moved->done == 1);
    CHECK(moved->to == own);
    CHECK(moved->tenant_id.view() == "acme");
  }
  CHECK(routed(bystander, 1, "alpha beta") == "human");
  TenantSettings settings = Pool::settings_of("acme");
  settings.own_shard = own;
  pool.announce(settings);
  RawClient client(pool.worker->attach("acme"));
  REQUIRE(client.choose(Transport::stream));
  CHECK(routed(client, 1, "alpha beta") == "one");
  // Nobody takes it for a tenant without routes where its rows were.
  pool.restart();
  RawClient lost = pool.client("acme", Transport::stream);
  CHECK(lost.call(1, ask("alpha beta")).type() == MessageType::error);
  // A shard that is not this worker's, and one that can be nobody's own.
  for (const std::uint32_t wrong : {own + 1, 1U}) {
    settings.own_shard = wrong;
    REQUIRE(settings.tenant_id.assign("initech"));
    pool.announce(settings);
    CHECK(refusal(pool.worker->attach("initech")) == ErrorCode::permission_denied);
  }
}

TEST_CASE("a tenant whose file is gone is told so and comes back with what it had") {
  Pool pool;
  RawClient client = pool.client("acme", Transport::ring);
  RawClient bystander = pool.client("globex", Transport::ring);
  REQUIRE(client.call(1, put_route("one", {"alpha beta"})).type() == MessageType::routes_edited);
  auto release = make_link_message<ReleaseTenant>(7);
  REQUIRE(release.tenant_id.assign("acme"));
  pool.worker->link.send(release);
  const auto goaway = client.receive();
  REQUIRE(goaway);
  REQUIRE(goaway->type() == MessageType::goaway);
  CHECK(goaway->as<Goaway>().reason == GoawayReason::removed);
  CHECK(goaway->as<Goaway>().last_request_id == 1);
  CHECK(pool.settles([](const WorkerStatus& status) { return status.open_tenants == 1; }));
  CHECK(routed(bystander, 1, "anything") == "human");
  RawClient again = pool.client("acme", Transport::stream);
  CHECK(routed(again, 1, "alpha beta") == "one");
}

TEST_CASE("settings change live, each tenant's its own") {
  Pool pool;
  RawClient acme = pool.client("acme", Transport::stream);
  RawClient globex = pool.client("globex", Transport::stream);
  for (RawClient* client : {&acme, &globex}) teach(*client);
  TenantSettings strict = Pool::settings_of("acme");
  REQUIRE(strict.router.fallback_route.assign("nobody"));
  strict.router.threshold = 1.0F;
  pool.announce(strict);
  std::uint64_t id = 10;
  const std::uint64_t until = monotonic_ns() + std::uint64_t{patience_ms} * 1'000'000;
  while (routed(acme, ++id, "completely different words") != "nobody" && monotonic_ns() < until) {
  }
  CHECK(routed(acme, ++id, "completely different words") == "nobody");
  CHECK(routed(globex, 10, "completely different words") != "nobody");
}

TEST_CASE("tenants that were not used for longest sleep when memory is short, and lose nothing") {
  Pool pool(pool_spec(12ULL << 20U));  // 3 MiB for routes
  std::uint64_t most_open = 0;
  constexpr int tenants = 30;
  std::optional<RawClient> first;
  for (int i = 0; i < tenants; ++i) {
    RawClient client = pool.client("t" + std::to_string(i), Transport::stream);
    for (std::uint64_t route = 0; route < 20; ++route) {
      const std::string words = std::to_string(i) + " and " + std::to_string(route);
      const Frame edited = client.call(
          1 + route, put_route("r" + std::to_string(route), {words, std::string(5000, 'x')}));
      if (edited.type() == MessageType::error) FAIL(edited.as<ErrorMessage>().message);
      REQUIRE(edited.type() == MessageType::routes_edited);
    }
    if (i == 0) first.emplace(std::move(client));
    most_open = std::max(most_open, pool.worker->status().open_tenants);
  }
  CHECK(most_open < tenants);
  CHECK(most_open > 1);
  const auto goaway = first->receive();
  REQUIRE(goaway);
  REQUIRE(goaway->type() == MessageType::goaway);
  CHECK(goaway->as<Goaway>().reason == GoawayReason::sleeping);
  for (int i = 0; i < tenants; ++i) {
    RawClient again = pool.client("t" + std::to_string(i), Transport::stream);
    RoutesPageRequest page;
    const Frame frame = again.call(1, page);
    REQUIRE(frame.type() == MessageType::routes_page);
    CHECK(frame.as<RoutesPage>().routes.size() == 20);
  }
}

TEST_CASE(
    "any order of edits and questions of two to ten tenants is answered as if each was alone") {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Pool pool;
    struct Tenant {
      std::string id;
      std::optional<RawClient> client;
      std::map<std::string, std::string> routes;  // to their only utterance
      std::uint64_t last_id = 0;
    };
    std::vector<Tenant> tenants(2 + seed * 2);
    for (std::size_t i = 0; i < tenants.size(); ++i) tenants[i].id = "t" + std::string(i, 'a');
    for (int step = 0; step < 300; ++step) {
      CAPTURE(step);
      Tenant& tenant = tenants[random() % tenants.size()];
      if (!tenant.client || random() % 40 == 0) {
        tenant.client.reset();
        tenant.client.emplace(
            pool.client(tenant.id, random() % 2 == 0 ? Transport::ring : Transport::stream));
      }
      const std::string route = "r" + std::to_string(random() % 4);
      const std::uint64_t id = ++tenant.last_id;
      switch (random() % 3) {
        case 0: {
          // Words that only this tenant has for this route.
          const std::string words = tenant.id + " owns " + route;
          REQUIRE(tenant.client->call(id, put_route(route, {words})).type() ==
                  MessageType::routes_edited);
          tenant.routes[route] = words;
          break;
        }
        case 1: {
          RoutesEdit removal;
          removal.edits.emplace_back().kind = EditKind::remove;
          removal.edits.back().route.id = route;
          const Frame frame = tenant.client->call(id, removal);
          CHECK((frame.type() == MessageType::routes_edited) == tenant.routes.contains(route));
          if (!tenant.routes.contains(route)) CHECK(frame.error() == ErrorCode::not_found);
          tenant.routes.erase(route);
          break;
        }
        default: {
          const Frame frame = tenant.client->call(id, RoutesPageRequest{});
          REQUIRE(frame.type() == MessageType::routes_page);
          const auto page = frame.as<RoutesPage>();
          CHECK(page.routes.size() == tenant.routes.size());
          for (const auto& listed : page.routes)
            CHECK(tenant.routes.contains(std::string(listed.route.id)));
          for (const auto& [name, words] : tenant.routes) {
            CHECK(routed(*tenant.client, ++tenant.last_id, words) == name);
          }
        }
      }
    }
  }
}

}  // namespace tenantd::test
