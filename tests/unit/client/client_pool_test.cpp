// One pool for threads and tenants, contexts on it, and the histogram that statistics carry.
#include "client/include/tenantd/client_pool.h"

#include <doctest/doctest.h>

#include <thread>

#include "client/include/tenantd/tenant_context.h"
#include "tests/unit/client/fake_server.h"

using namespace tenantd;
using namespace tenantd::test;

namespace client_pool_test {

namespace {

// Serves attachments side by side, each in a thread of its own.
class ThreadedServer {
 public:
  [[nodiscard]] PoolOptions options(std::size_t per_tenant) const {
    PoolOptions options;
    options.connect.socket_path = server_.path();
    options.max_per_tenant = per_tenant;
    return options;
  }
  [[nodiscard]] int accepted() const { return server_.accepted(); }

 private:
  struct Threads {
    std::vector<std::thread> all;
    ~Threads() {
      for (std::thread& thread : all) thread.join();
    }
  };
  std::atomic<bool> stop_{false};
  Threads threads_;  // joined after `stopper_` said stop, when the server accepts no more
  struct Stopper {
    std::atomic<bool>& stop;
    ~Stopper() { stop = true; }
  } stopper_{stop_};
  FakeServer server_{[this](ServedAttachment& attachment, int number, const std::atomic<bool>&) {
    threads_.all.emplace_back([this,
                               served = std::make_shared<ServedAttachment>(std::move(attachment)),
                               number] { serve_well(*served, number, stop_); });
  }};
};

template <class Function, class... Arguments>
concept callable = std::is_invocable_v<Function&, Arguments...>;

}  // namespace

TEST_CASE("threads share a pool: no more clients than allowed, each kept for the next") {
  ThreadedServer server;
  auto pool = ClientPool::open(server.options(3));
  REQUIRE(pool.has_value());
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        auto lease = pool->acquire(t % 2 == 0 ? "acme" : "globex", 20'000);
        if (!lease) continue;
        const auto reply = (*lease)->route_text("x" + std::to_string(t));
        if (reply && reply->best.route == "echo:x" + std::to_string(t)) ++answered;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answered == 320);
  CHECK(server.accepted() <= 6);
  CHECK(pool->usage().lent == 0);
  CHECK(pool->usage().idle == static_cast<std::size_t>(server.accepted()));
}

TEST_CASE("a pool that is lent out says so at the deadline, and goes on when one comes back") {
  ThreadedServer server;
  auto pool = ClientPool::open(server.options(1));
  REQUIRE(pool.has_value());
  auto first = pool->acquire("acme");
  REQUIRE(first.has_value());
  CHECK(pool->acquire("acme", 20).error().code == ErrorCode::resource_exhausted);
  CHECK(pool->acquire("globex").has_value());  // another tenant's bound is its own
  CHECK(pool->acquire("../etc").error().code == ErrorCode::invalid_argument);
  CHECK(pool->usage().lent == 1);
  std::thread giver([lease = std::move(*first)]() mutable { const auto gone = std::move(lease); });
  CHECK(pool->acquire("acme", 10'000).has_value());
  giver.join();
}

TEST_CASE("idle clients are bounded, and a lease may outlive its pool") {
  ThreadedServer server;
  PoolOptions options = server.options(8);
  options.max_idle = 2;
  auto pool = ClientPool::open(options);
  REQUIRE(pool.has_value());
  {
    std::vector<ClientPool::Lease> leases;
    for (const char* tenant : {"a", "b", "c", "d"}) {
      auto lease = pool->acquire(tenant);
      REQUIRE(lease.has_value());
      leases.push_back(std::move(*lease));
    }
    CHECK(pool->usage().lent == 4);
  }
  CHECK(pool->usage().idle == 2);
  std::optional<ClientPool::Lease> survivor;
  {
    auto other = ClientPool::open(options);
    REQUIRE(other.has_value());
    auto lease = other->acquire("e");
    REQUIRE(lease.has_value());
    survivor.emplace(std::move(*lease));
  }
  CHECK((*survivor)->ping().has_value());
}

TEST_CASE("an enforced function runs in a context and has no other way to be called") {
  ThreadedServer server;
  auto pool = ClientPool::open(server.options(2));
  REQUIRE(pool.has_value());
  auto execute_route = enforce([](TenantContext& tenant, std::string_view query) {
    const auto reply = tenant.route_text(query);
    return std::string(tenant.tenant()) + " " + (reply ? reply->best.route : "failed");
  });
  auto context = TenantContext::enter(*pool, "acme-corp");
  REQUIRE(context.has_value());
  CHECK(execute_route(*context, "hello") == "acme-corp echo:hello");
  using Enforced = decltype(execute_route);
  static_assert(callable<Enforced, TenantContext&, std::string_view>);
  static_assert(!callable<Enforced, std::string_view>, "outside a context it must not compile");
  static_assert(!callable<Enforced, Client&, std::string_view>);
  static_assert(!callable<Enforced, TenantContext&>);
  static_assert(!std::is_default_constructible_v<TenantContext>);
}

TEST_CASE("a histogram's quantiles are exact to an eighth") {
  LatencyHistogram histogram;
  CHECK(histogram.quantile_ns(0.5) == 0);
  for (std::uint64_t ns = 1; ns <= 100'000; ++ns) histogram.record(ns);
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = quantile * 100'000;
    const auto shown = static_cast<double>(histogram.quantile_ns(quantile));
    CHECK(shown >= exact);
    CHECK(shown <= exact * 1.126 + 1);
  }
  CHECK(histogram.quantile_ns(1) == 100'000);
  histogram.record(~std::uint64_t{0});
  CHECK(histogram.max_ns() == ~std::uint64_t{0});
  LatencyHistogram sum;
  sum.merge(histogram);
  sum.merge(histogram);
  CHECK(sum.count() == 200'002);
}

}  // namespace client_pool_test
