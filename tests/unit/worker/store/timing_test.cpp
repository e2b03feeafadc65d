// What a tenant could measure by the clock: the work that SQLite does for it must not tell what a
// neighbour in its shard has. Counted, not timed: instructions of SQLite's virtual machine, and
// pages that its cache did not have.
#include <doctest/doctest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/history/execution_record.h"
#include "worker/store/history_store.h"

namespace tenantd {
namespace {

using namespace fixtures;

// The connection that was opened last: the store keeps it to itself.
sqlite3* newest_connection = nullptr;

int remember_connection(sqlite3* connection, char**, const sqlite3_api_routines*) {
  newest_connection = connection;
  return SQLITE_OK;
}

class RememberConnections {
 public:
  RememberConnections() { REQUIRE(::sqlite3_auto_extension(entry()) == SQLITE_OK); }
  ~RememberConnections() { (void)::sqlite3_cancel_auto_extension(entry()); }

 private:
  using Entry = void (*)();  // as SQLite declares it: it calls it with the arguments above
  static Entry entry() { return reinterpret_cast<Entry>(&remember_connection); }
};

struct Work {
  std::int64_t instructions = 0;
  std::int64_t pages_missed = 0;
  friend bool operator==(const Work&, const Work&) = default;
};

Work work_of(sqlite3* connection, const std::function<void()>& call) {
  const auto sum = [connection] {
    std::int64_t total = 0;
    for (sqlite3_stmt* one = ::sqlite3_next_stmt(connection, nullptr); one != nullptr;
         one = ::sqlite3_next_stmt(connection, one)) {
      total += ::sqlite3_stmt_status(one, SQLITE_STMTSTATUS_VM_STEP, 0);
    }
    return total;
  };
  const auto missed = [connection] {
    int now = 0;
    int highest = 0;
    REQUIRE(::sqlite3_db_status(connection, SQLITE_DBSTATUS_CACHE_MISS, &now, &highest, 0) ==
            SQLITE_OK);
    return std::int64_t{now};
  };
  const Work before{sum(), missed()};
  call();
  return {sum() - before.instructions, missed() - before.pages_missed};
}

enum class Neighbour { absent, has_others, has_the_same, has_many };

constexpr const char* names[] = {"absent", "has others", "has the same", "has many"};

ExecutionRecord record(std::uint64_t number) {
  ExecutionRecord one;
  one.time_us = static_cast<std::int64_t>(1000 + number);
  one.request_id = number;
  return one;
}

// Who lives between `before` and `behind` in the order of keys.
void settle_neighbour(const std::shared_ptr<StoreFile>& file, Neighbour kind) {
  if (kind == Neighbour::absent) return;
  const TenantBinding binding(TenantId::parse("mallorx").value());
  TenantStore store(binding.context().tenant(), file, 0);
  const std::size_t count = kind == Neighbour::has_many ? 300 : 3;
  for (std::size_t i = 0; i < count; ++i) {
    // Ids of one length: what is stored differs in nothing but which ids there are.
    const std::string id =
        (kind == Neighbour::has_others ? "other-" : "guess-") + std::to_string(100 + i);
    const RouteEdit edit{RouteEditKind::put, sample_route(id, 16, 4, 7)};
    REQUIRE(store.apply(binding.context(), {&edit, 1}));
  }
  std::vector<ExecutionRecord> records;
  for (std::size_t i = 0; i < count; ++i) records.push_back(record(i));
  HistoryStore history(binding.context().tenant(), file);
  REQUIRE(history.append(binding.context(), records, {}, {}));
}

// All that a tenant's requests become in the store, each from a cold page cache.
std::vector<std::pair<std::string, Work>> attack(Neighbour kind) {
  const RememberConnections remember;
  const DataDirectory directory;
  const TenantBinding mallory(TenantId::parse("mallory").value());
  {
    auto file = StoreFile::open(directory.database()).value();
    settle_neighbour(file, kind);
    TenantStore store(mallory.context().tenant(), file, 0);
    const RouteEdit mine{RouteEditKind::put, sample_route("mine-100", 16, 4, 7)};
    REQUIRE(store.apply(mallory.context(), {&mine, 1}));
  }
  std::vector<std::pair<std::string, Work>> found;
  const auto measure = [&](const std::string& what,
                           const std::function<void(TenantStore&, HistoryStore&)>& call) {
    auto file = StoreFile::open(directory.database()).value();
    TenantStore store(mallory.context().tenant(), file, 0);
    HistoryStore history(mallory.context().tenant(), file);
    (void)history.summary(mallory.context(), 0);  // its statements are prepared
    sqlite3* const connection = newest_connection;
    REQUIRE(::sqlite3_db_release_memory(connection) == SQLITE_OK);
    found.emplace_back(what, work_of(connection, [&] { call(store, history); }));
  };
  const auto edit = [&](const std::string& what, RouteEditKind edit_kind, const char* id) {
    measure(what + " " + id, [&](TenantStore& store, HistoryStore&) {
      const RouteEdit one{edit_kind, sample_route(id, 16, 4, 7)};
      (void)store.apply(mallory.context(), {&one, 1});
    });
  };
  edit("remove", RouteEditKind::remove, "guess-100");
  edit("utterances for", RouteEditKind::add_utterances, "guess-101");
  edit("add", RouteEditKind::add, "guess-102");
  edit("put", RouteEditKind::put, "guess-100");
  edit("remove own", RouteEditKind::remove, "mine-100");
  measure("load", [&](TenantStore& store, HistoryStore&) {
    REQUIRE(store.load(mallory.context(), [](RouteDefinition) -> Status { return {}; }));
  });
  measure("verify behind guess-099", [&](TenantStore& store, HistoryStore&) {
    REQUIRE(store.verify(mallory.context(), "guess-099"));
  });
  measure("count what is staged", [&](TenantStore& store, HistoryStore&) {
    REQUIRE(store.count_staged(mallory.context(), "encoder@1"));
  });
  measure("record", [&](TenantStore&, HistoryStore& history) {
    const std::vector<ExecutionRecord> records{record(1)};
    REQUIRE(history.append(mallory.context(), records, {}, {}));
  });
  measure("read the history", [&](TenantStore&, HistoryStore& history) {
    REQUIRE(history.read(mallory.context(), 0, {INT64_MAX, 0}, 100));
  });
  measure("delete of the history", [&](TenantStore&, HistoryStore& history) {
    REQUIRE(history.delete_some(mallory.context(), {1, 1}, INT64_MAX / 2, 1));
  });
  measure("history's summary", [&](TenantStore&, HistoryStore& history) {
    REQUIRE(history.summary(mallory.context(), 10));
  });
  return found;
}

}  // namespace

TEST_CASE("what SQLite does for a tenant does not tell what its neighbour has") {
  const auto with_others = attack(Neighbour::has_others);
  for (const Neighbour kind : {Neighbour::has_the_same, Neighbour::absent, Neighbour::has_many}) {
    CAPTURE(names[static_cast<int>(kind)]);
    const auto found = attack(kind);
    REQUIRE(found.size() == with_others.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(found[i].first);
      const Work& here = found[i].second;
      const Work& there = with_others[i].second;
      CHECK(here.instructions > 0);
      if (kind == Neighbour::has_the_same) {
        CHECK(here == there);
        continue;
      }
      // Whether there is a neighbour at all, and how full the shard is, is no secret that SQLite
      // keeps: where the tenant's rows end it looks at the next one, and deeper trees are more
      // pages.
      CHECK(std::abs(here.instructions - there.instructions) <= 1);
      CHECK(std::abs(here.pages_missed - there.pages_missed) <= 6);
    }
  }
}

}  // namespace tenantd
