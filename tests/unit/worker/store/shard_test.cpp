// Many tenants in one database: whatever they do, each has its own rows, all of them, and learns
// nothing of the others'.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "shared/database/sqlite.h"
#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/schema.h"

namespace tenantd {
namespace {

using namespace fixtures;

struct Inhabitant {
  explicit Inhabitant(const std::string& id, std::shared_ptr<StoreFile> file,
                      std::uint64_t max_bytes = 0)
      : binding(TenantId::parse(id).value()),
        store(binding.context().tenant(), std::move(file), max_bytes) {}
  Result<std::uint64_t> apply(RouteEditKind kind, const RouteDefinition& route) {
    const RouteEdit edit{kind, route};
    return store.apply(binding.context(), {&edit, 1});
  }
  std::map<std::string, RouteDefinition> load() {
    std::map<std::string, RouteDefinition> routes;
    const auto version = store.load(binding.context(), [&](RouteDefinition route) -> Status {
      routes.emplace(route.id, std::move(route));
      return {};
    });
    REQUIRE(version);
    return routes;
  }

  TenantBinding binding;
  TenantStore store;
  std::map<std::string, RouteDefinition> model;
};

std::string describe(const Result<std::uint64_t>& outcome) {
  return outcome ? "done" : outcome.error().describe();
}

// What a store that holds this tenant alone would say.
std::string expected(const Inhabitant& tenant, RouteEditKind kind, const RouteDefinition& route) {
  const bool exists = tenant.model.contains(route.id);
  if (kind == RouteEditKind::add && exists) {
    return "route " + route.id + ": the route exists already";
  }
  const bool needs = kind == RouteEditKind::remove || kind == RouteEditKind::add_utterances;
  if (needs && !exists) return "route " + route.id + ": there is no such route";
  return "done";
}

void follow(Inhabitant& tenant, RouteEditKind kind, const RouteDefinition& route) {
  if (expected(tenant, kind, route) != "done") return;
  if (kind == RouteEditKind::remove) {
    tenant.model.erase(route.id);
  } else if (kind == RouteEditKind::add_utterances) {
    auto& utterances = tenant.model.at(route.id).utterances;
    utterances.insert(utterances.end(), route.utterances.begin(), route.utterances.end());
  } else {
    tenant.model.insert_or_assign(route.id, route);
  }
}

}  // namespace

TEST_CASE("two to ten tenants of one shard edit in any order as if each were alone") {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const DataDirectory directory;
    auto file = StoreFile::open(directory.database()).value();
    std::vector<std::unique_ptr<Inhabitant>> tenants;
    // Ids that are prefixes of each other, and the same few route ids for all.
    for (std::size_t i = 0; i < 2 + seed % 9; ++i) {
      tenants.push_back(std::make_unique<Inhabitant>("t" + std::string(i, 'a'), file));
    }
    for (int step = 0; step < 150; ++step) {
      Inhabitant& tenant = *tenants[random() % tenants.size()];
      const auto kind = static_cast<RouteEditKind>(random() % 4);
      RouteDefinition route = sample_route("r" + std::to_string(random() % 5), 8, 1 + random() % 3,
                                           static_cast<unsigned>(random() % 60));
      if (kind == RouteEditKind::add_utterances) {
        route = RouteDefinition{};
        route.id = "r" + std::to_string(random() % 5);
        route.utterances = sample_route("x", 8, 2, static_cast<unsigned>(random() % 60)).utterances;
      }
      CAPTURE(step);
      CHECK(describe(tenant.apply(kind, route)) == expected(tenant, kind, route));
      follow(tenant, kind, route);
      if (step % 50 == 49) {  // as after a restart
        for (auto& one : tenants) CHECK(one->load() == one->model);
      }
    }
    const auto other = tenants[0]->store.load(tenants[1]->binding.context(),
                                              [](const RouteDefinition&) { return Status{}; });
    REQUIRE_FALSE(other);
    CHECK(other.error().code == ErrorCode::no_tenant);
  }
}

TEST_CASE("a tenant's bound in a shard is its own, and what shrinks is always taken") {
  const DataDirectory directory;
  auto file = StoreFile::open(directory.database()).value();
  Inhabitant small("small", file, 20'000);
  Inhabitant large("large", file);
  std::size_t taken = 0;
  Error refused;
  for (unsigned i = 0; i < 100 && refused.message.empty(); ++i) {
    const auto route = sample_route("r" + std::to_string(i), 384, 2, i);
    const auto outcome = small.apply(RouteEditKind::put, route);
    if (outcome) {
      ++taken;
    } else {
      refused = outcome.error();
    }
    REQUIRE(large.apply(RouteEditKind::put, route));
  }
  CHECK(refused.code == ErrorCode::resource_exhausted);
  CHECK(refused.field == "limits.max_storage");
  CHECK(taken > 2);
  CHECK(small.load().size() == taken);
  CHECK(small.store.degraded_reason().empty());
  // Replacing what is there, again and again, does not add up.
  for (int i = 0; i < 20; ++i) {
    REQUIRE(small.apply(RouteEditKind::put, sample_route("r0", 384, 2, 0)));
  }
  REQUIRE(small.store.set_max_storage(small.binding.context(), 1));
  CHECK(small.apply(RouteEditKind::remove, sample_route("r1", 384, 2, 1)));
  REQUIRE(small.store.set_max_storage(small.binding.context(), 0));
  CHECK(small.apply(RouteEditKind::put, sample_route("more", 384, 50, 3)));
}

TEST_CASE("every statement of a shard finds its rows by the tenant, none scans") {
  REQUIRE_FALSE(store_statement_texts().empty());
  CHECK(plans_beside_the_tenant(store_statement_texts()) == std::vector<std::string>{});
}

TEST_CASE("the connection of a shard refuses what is no statement of its kind") {
  const DataDirectory directory;
  auto file = StoreFile::open(directory.database()).value();
  for (const char* text :
       {"SELECT name FROM sqlite_schema",
        "ATTACH ':memory:' AS other",
        "CREATE TABLE x(tenant_id TEXT PRIMARY KEY)",
        "CREATE TEMP TABLE x(a)",
        "CREATE TEMP VIEW routes AS SELECT * FROM main.routes",
        "DROP TABLE routes",
        "ALTER TABLE routes RENAME TO other",
        "CREATE INDEX i ON routes(description)",
        "PRAGMA writable_schema=1",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA table_info(routes)",
        "SELECT load_extension('x')",
        "SELECT instr(text, 'a') FROM utterances",
        "SELECT abs(-9223372036854775807 - 1)",
        "SELECT randomblob(1000000000)",
        "SELECT * FROM pragma_table_list",
        "SELECT zeroblob(9)",
        "VACUUM",
        "REINDEX",
        "ANALYZE",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"}) {
    CAPTURE(text);
    const auto statement = file->database().prepare(text);
    CHECK_FALSE((statement && file->database().execute(text)));
  }
  CHECK(file->database().prepare("SELECT count(*) FROM routes WHERE tenant_id = ?1"));
}

TEST_CASE("a statement that goes on and on is interrupted, and the connection goes on") {
  const DataDirectory directory;
  Database database = Database::open(directory.database(), Database::Mode::create).value();
  const std::string numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n";
  const std::string endless = numbers + ") SELECT count(*) FROM n";
  const std::string rows = numbers + " LIMIT 100000) SELECT i FROM n";
  database.limit_steps(5);
  for (int i = 0; i < 2; ++i) {
    const auto counted = database.query_integer(endless);
    REQUIRE_FALSE(counted.has_value());
    CHECK(counted.error().code == ErrorCode::resource_exhausted);
    CHECK(database.execute(endless.c_str()).error().code == ErrorCode::resource_exhausted);
  }
  // Each row has a budget of its own: together they take more.
  Statement statement = database.prepare(rows).value();
  std::int64_t seen = 0;
  while (statement.step().value()) seen = statement.integer(0);
  CHECK(seen == 100'000);
}

TEST_CASE("a schema in which rows are told apart by less than the tenant is refused") {
  struct Breach {
    const char* sql;
    const char* message;
  };
  for (const auto& [sql, message] : std::initializer_list<Breach>{
           {"CREATE TABLE bad(route_id TEXT NOT NULL, tenant_id TEXT NOT NULL,"
            " PRIMARY KEY(route_id, tenant_id)) STRICT, WITHOUT ROWID",
            "bad has a primary key"},
           {"CREATE TABLE bad(tenant_id TEXT NOT NULL PRIMARY KEY) STRICT", "bad is not a STRICT"},
           {"CREATE TABLE bad(tenant_id TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
            "bad is not a STRICT"},
           {"CREATE TABLE bad(tenant_id TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY(tenant_id),"
            " UNIQUE(name)) STRICT, WITHOUT ROWID",
            "is an index that does not begin"},
           {"CREATE INDEX bad ON routes(description)", "bad is an index that does not begin"},
           {"CREATE INDEX bad ON routes(tenant_id, description) WHERE priority > 0",
            "bad is a partial index"},
           {"CREATE VIEW bad AS SELECT * FROM routes", "bad is a view or a trigger"},
           {"CREATE TRIGGER bad AFTER DELETE ON routes BEGIN DELETE FROM tenants; END",
            "bad is a view or a trigger"},
           {"CREATE TABLE bad(tenant_id TEXT NOT NULL PRIMARY KEY, route_id TEXT NOT NULL"
            " REFERENCES tenants(tenant_id)) STRICT, WITHOUT ROWID",
            "bad has a foreign key without"},
       }) {
    CAPTURE(sql);
    const DataDirectory directory;
    StoreFile::open(directory.database()).value().reset();
    Database database = Database::open(directory.database(), Database::Mode::open_existing).value();
    REQUIRE(lint_schema(database));
    REQUIRE(database.execute(sql));
    const Status linted = lint_schema(database);
    REQUIRE_FALSE(linted);
    CHECK(linted.error().message.find(message) != std::string::npos);
  }
}

}  // namespace tenantd
