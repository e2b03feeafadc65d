// A tenant's history in a database that others share: what is kept, read and deleted, against a
// model; and that it harms no route.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/history_store.h"

namespace tenantd {
namespace {

using namespace fixtures;

constexpr std::int64_t day_us = 86'400'000'000;
constexpr std::int64_t now_us = 1'790'000'000'000'000;
constexpr ExecutionPlace newest{INT64_MAX, 0};

ExecutionRecord record_at(std::int64_t time_us, std::uint64_t request) {
  ExecutionRecord record;
  record.time_us = time_us;
  record.request_id = request;
  record.caller.uid = 1000 + static_cast<std::uint32_t>(request % 3);
  record.confidence = 0.5F;
  record.latency_us = static_cast<std::uint32_t>(request);
  record.outcome = static_cast<std::uint8_t>(request % 4);
  (void)record.route.assign("route " + std::to_string(request % 7));
  return record;
}

struct Past {
  explicit Past(const std::string& id, std::shared_ptr<StoreFile> file)
      : binding(TenantId::parse(id).value()), store(binding.context().tenant(), std::move(file)) {}
  const ExecutionContext& context() const { return binding.context(); }
  void append(const std::vector<ExecutionRecord>& records, HistoryBounds bounds = {}) {
    REQUIRE(store.append(context(), records, {}, bounds));
    for (const ExecutionRecord& record : records) {
      model.push_back({{record.time_us, ++serial},
                       record.request_id,
                       std::string(record.route.view()),
                       static_cast<double>(record.confidence),
                       record.latency_us,
                       user_text(record.caller),
                       record.outcome});
    }
    std::sort(model.begin(), model.end(), [](const auto& a, const auto& b) {
      return std::pair(a.place.time_us, a.place.serial) <
             std::pair(b.place.time_us, b.place.serial);
    });
  }
  // All of it, by pages of `limit`, oldest first.
  std::deque<StoredExecution> read_all(std::uint32_t limit) {
    std::deque<StoredExecution> all;
    for (ExecutionPlace before = newest;;) {
      const auto page = store.read(context(), 0, before, limit).value();
      for (const StoredExecution& execution : page) all.push_front(execution);
      if (page.size() < limit) return all;
      before = page.back().place;
    }
  }
  void delete_all(HistoryBounds bounds, std::int64_t run_us) {
    while (store.delete_some(context(), bounds, now_us, run_us).value()) {
    }
  }

  TenantBinding binding;
  HistoryStore store;
  std::deque<StoredExecution> model;
  std::uint64_t serial = 0;
};

bool operator_equal(const std::deque<StoredExecution>& a, const std::deque<StoredExecution>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.place.time_us == y.place.time_us && x.place.serial == y.place.serial &&
           x.request_id == y.request_id && x.route == y.route && x.user == y.user &&
           x.latency_us == y.latency_us && x.outcome == y.outcome && x.confidence == y.confidence;
  });
}

}  // namespace

TEST_CASE("two to ten tenants of one shard have each their own history") {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const DataDirectory directory;
    auto file = StoreFile::open(directory.database()).value();
    std::vector<std::unique_ptr<Past>> tenants;
    for (std::size_t i = 0; i < 2 + seed % 9; ++i) {
      tenants.push_back(std::make_unique<Past>("t" + std::string(i, 'a'), file));
    }
    std::uint64_t request = 0;
    for (int step = 0; step < 40; ++step) {
      CAPTURE(step);
      Past& tenant = *tenants[random() % tenants.size()];
      switch (random() % 4) {
        default: {  // the same times for all, and clocks that go back
          std::vector<ExecutionRecord> records;
          for (std::size_t i = 0; i < 1 + random() % 20; ++i) {
            records.push_back(
                record_at(now_us - static_cast<std::int64_t>(random() % 10) * day_us, ++request));
          }
          tenant.append(records);
          break;
        }
        case 2: {
          const HistoryBounds bounds{static_cast<std::uint32_t>(1 + random() % 9), 0};
          tenant.delete_all(bounds, step);
          const std::int64_t oldest = now_us - bounds.retention_days * day_us;
          while (!tenant.model.empty() && tenant.model.front().place.time_us < oldest) {
            tenant.model.pop_front();
          }
          break;
        }
        case 3: {
          const std::uint64_t most = 1 + random() % 30;
          tenant.delete_all({0, most}, step);
          while (tenant.model.size() > most) tenant.model.pop_front();
          break;
        }
      }
      CHECK(tenant.store.summary(tenant.context(), 0).value().executions == tenant.model.size());
    }
    for (auto& one : tenants) {
      CHECK(operator_equal(one->read_all(1 + seed), one->model));
      std::uint64_t deleted = 0;
      const auto summary = one->store.summary(one->context(), 500).value();
      for (const Deletion& run : summary.deletions) {
        CHECK(run.what == "executions");
        CHECK(run.oldest_us <= run.newest_us);
        deleted += run.count;
      }
      CHECK(deleted + one->model.size() == one->serial);
      if (one->model.empty()) continue;
      CHECK(summary.oldest_us == one->model.front().place.time_us);
      CHECK(summary.newest_us == one->model.back().place.time_us);
    }
    const auto other = tenants[0]->store.read(tenants[1]->context(), 0, newest, 10);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == ErrorCode::no_tenant);
  }
}

TEST_CASE("a history that is full loses its oldest, and a lower bound is reached by and by") {
  const DataDirectory directory;
  Past acme("acme", StoreFile::open(directory.database()).value());
  for (std::uint64_t batch = 0; batch < 10; ++batch) {
    std::vector<ExecutionRecord> records;
    for (std::uint64_t i = 0; i < 10; ++i) {
      records.push_back(
          record_at(now_us + static_cast<std::int64_t>(batch * 10 + i), batch * 10 + i));
    }
    acme.append(records, {0, 50});
  }
  auto summary = acme.store.summary(acme.context(), 10).value();
  CHECK(summary.executions == 50);
  CHECK(summary.oldest_us == now_us + 50);
  CHECK(summary.bounds == HistoryBounds{0, 50});
  CHECK(summary.deletions.empty());  // no run of deletion: what comes pushes what was
  for (std::uint64_t i = 0; i < 45; ++i) {
    acme.append({record_at(now_us + static_cast<std::int64_t>(100 + i), i)}, {0, 5});
  }
  CHECK(acme.store.summary(acme.context(), 10).value().executions == 5);
}

TEST_CASE("a deletion is done in steps and recorded as one run") {
  const DataDirectory directory;
  Past acme("acme", StoreFile::open(directory.database()).value());
  std::vector<ExecutionRecord> records;
  const std::uint64_t rows = 2 * HistoryStore::step_rows + 7;
  for (std::uint64_t i = 0; i < rows; ++i) {
    records.push_back(record_at(now_us - 3 * day_us + static_cast<std::int64_t>(i), i));
  }
  records.push_back(record_at(now_us, rows));
  acme.append(records);
  const HistoryBounds bounds{2, 0};
  CHECK(acme.store.delete_some(acme.context(), bounds, now_us, 99).value());
  CHECK(acme.store.delete_some(acme.context(), bounds, now_us, 99).value());
  CHECK_FALSE(acme.store.delete_some(acme.context(), bounds, now_us, 99).value());
  CHECK_FALSE(acme.store.delete_some(acme.context(), bounds, now_us, 100).value());
  const auto summary = acme.store.summary(acme.context(), 10).value();
  REQUIRE(summary.deletions.size() == 1);
  CHECK(summary.deletions[0].time_us == 99);
  CHECK(summary.deletions[0].count == rows);
  CHECK(summary.deletions[0].oldest_us == now_us - 3 * day_us);
  CHECK(summary.deletions[0].newest_us ==
        now_us - 3 * day_us + static_cast<std::int64_t>(rows) - 1);
  CHECK(summary.executions == 1);
}

TEST_CASE("what is kept of deletions is bounded") {
  const DataDirectory directory;
  Past acme("acme", StoreFile::open(directory.database()).value());
  for (std::uint64_t i = 0; i < HistoryStore::kept_deletions + 20; ++i) {
    acme.append({record_at(now_us - 3 * day_us, i)});
    acme.delete_all({2, 0}, static_cast<std::int64_t>(1 + i));
  }
  const auto summary = acme.store.summary(acme.context(), 10'000).value();
  CHECK(summary.deletions.size() == HistoryStore::kept_deletions);
  CHECK(summary.deletions.front().time_us ==
        static_cast<std::int64_t>(HistoryStore::kept_deletions + 20));
}

TEST_CASE("who walks a shard is told those who have a history, each once") {
  const DataDirectory directory;
  auto file = StoreFile::open(directory.database()).value();
  Past a("a", file);
  Past b("b", file);
  Past c("c", file);
  a.append({record_at(now_us, 1)});
  b.append({record_at(now_us - 9 * day_us, 1)});
  c.append({record_at(now_us, 1)});
  b.delete_all({1, 0}, 1);
  CHECK(next_tenant_with_history(*file, "").value() == "a");
  CHECK(next_tenant_with_history(*file, "a").value() == "c");
  CHECK(next_tenant_with_history(*file, "c").value().empty());
}

TEST_CASE("a history never takes the room of routes, and a full file degrades nothing") {
  const DataDirectory directory;
  auto store = open_store(directory, 1 << 20).value();
  const TenantBinding tenant(acme());
  HistoryStore history = store->history(tenant.context()).value();
  constexpr std::uint64_t rows = 4000;
  REQUIRE(store->set_room_beside(tenant.context(), rows * HistoryStore::row_bytes));
  std::vector<ExecutionRecord> records;
  for (std::uint64_t i = 0; i < 500; ++i) {
    records.push_back(record_at(now_us, i));
    (void)records.back().route.assign(std::string(max_route_id_bytes, 'r'));
  }
  for (std::uint64_t i = 0; i < 3 * rows / records.size(); ++i) {
    REQUIRE(history.append(tenant.context(), records, {}, {0, rows}));
  }
  CHECK(history.summary(tenant.context(), 0).value().executions == rows);
  // As much as without a history fits still.
  const DataDirectory other;
  auto alone = open_store(other, 1 << 20).value();
  const auto fill = [&tenant](TenantStore& into) {
    unsigned routes = 0;
    for (;; ++routes) {
      const RouteEdit edit{RouteEditKind::put,
                           sample_route("r" + std::to_string(routes), 384, 4, routes)};
      if (!into.apply(tenant.context(), {&edit, 1})) return routes;
    }
  };
  const unsigned with_history = fill(*store);
  CHECK(with_history >= fill(*alone));
  CHECK(with_history > 50);
  // The file is full: the history says so, and that is all.
  CHECK_FALSE(store->degraded_reason().empty());
  const RouteEdit remove{RouteEditKind::remove, sample_route("r0", 384, 4, 0)};
  REQUIRE(store->apply(tenant.context(), {&remove, 1}));
  CHECK(store->degraded_reason().empty());
  REQUIRE(store->set_room_beside(tenant.context(), 0));
  bool refused = false;
  for (int i = 0; i < 20 && !refused; ++i) {
    refused = !history.append(tenant.context(), records, {}, {});
  }
  CHECK(refused);
  CHECK(store->degraded_reason().empty());
}

TEST_CASE("every statement of a history finds its rows by the tenant, none scans") {
  REQUIRE_FALSE(history_statement_texts().empty());
  CHECK(plans_beside_the_tenant(history_statement_texts()) == std::vector<std::string>{});
}

TEST_CASE("a user is named by the uid, or by a digest's first digits, never by more") {
  CHECK(user_text({1000, 0, false}) == "uid:1000");
  CHECK(user_text({1000, 0x9f86d081, false}) == "token:9f86d081");
}

}  // namespace tenantd
