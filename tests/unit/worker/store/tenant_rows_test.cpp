// A tenant's rows leave a shared database: all of them, and nobody else's.
#include "worker/store/tenant_rows.h"

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <random>

#include "tests/unit/worker/store/store_fixtures.h"

namespace tenantd {
namespace {

using namespace fixtures;

constexpr std::array<const char*, 7> table_names{
    "tenants", "routes", "utterances", "staged_vectors", "route_images", "executions", "deletions"};

using Rows = std::map<std::string, std::int64_t>;  // by table

Rows rows_of(StoreFile& file, std::string_view tenant) {
  Rows rows;
  for (const char* table : table_names) {
    Statement count =
        file.database()
            .prepare("SELECT count(*) FROM " + std::string(table) + " WHERE tenant_id = ?1")
            .value();
    count.bind(1, tenant);
    REQUIRE(count.step().value());
    rows[table] = count.integer(0);
    count.done();
  }
  return rows;
}

// A row or more in each table.
void fill(const std::shared_ptr<StoreFile>& file, std::string_view id, unsigned seed) {
  const TenantBinding tenant(TenantId::parse(id).value());
  TenantStore store(tenant.context().tenant(), file, 0);
  std::vector<RouteEdit> edits;
  for (unsigned i = 0; i < 2 + seed % 4; ++i) {
    edits.push_back({RouteEditKind::add,
                     sample_route("r" + std::to_string(i), 8, 1 + (seed + i) % 3, seed + i)});
  }
  REQUIRE(store.apply(tenant.context(), edits));
  const StagedVector staged{"r0", 0, edits[0].route.utterances[0]};
  REQUIRE(store.stage(tenant.context(), "next", {&staged, 1}));
  REQUIRE(store.set_image_nonce(tenant.context(), 0, seed + 1));
  HistoryStatements& history = *file->history_statements().value();
  const auto bind_row = [&](Statement& insert, std::initializer_list<int> texts, int last) {
    for (int i = 2; i <= last; ++i) insert.bind(i, std::int64_t{seed} + i);
    for (const int i : texts) insert.bind(i, std::string_view("text"));
    insert.bind(1, id);
    REQUIRE(insert.run());
  };
  history.insert_execution.bind(6, 0.5);
  bind_row(history.insert_execution, {5, 8}, 9);
  bind_row(history.insert_deletion, {3}, 6);
  for (const auto& [table, count] : rows_of(*file, id)) {
    CAPTURE(table);
    REQUIRE(count > 0);
  }
}

std::string tenant_name(std::size_t i) { return "t" + std::string(i, 'a'); }

}  // namespace

TEST_CASE("what is deleted of a tenant is all of it and of nobody else") {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const DataDirectory directory;
    auto file = StoreFile::open(directory.database()).value();
    std::map<std::string, Rows> model;
    for (std::size_t i = 0; i < 2 + seed; ++i) {  // ids that are prefixes of each other
      fill(file, tenant_name(i), static_cast<unsigned>(random() % 60));
      model[tenant_name(i)] = rows_of(*file, tenant_name(i));
    }
    for (int step = 0; step < 6; ++step) {
      const std::string gone = tenant_name(random() % (2 + seed));
      CAPTURE(gone);
      const TenantBinding tenant(TenantId::parse(gone).value());
      REQUIRE(delete_tenant_rows(tenant.context(), *file));  // also where it has none
      for (auto& [table, count] : model[gone]) count = 0;
      if (step == 3) {  // as after a restart
        file.reset();
        file = StoreFile::open(directory.database()).value();
      }
      for (const auto& [id, rows] : model) CHECK(rows_of(*file, id) == rows);
    }
    const std::string again = tenant_name(0);
    const TenantBinding tenant(TenantId::parse(again).value());
    REQUIRE(delete_tenant_rows(tenant.context(), *file));
    fill(file, again, seed);  // it may come back
  }
}

TEST_CASE("a deletion that fails in its middle deletes nothing") {
  const DataDirectory directory;
  auto file = StoreFile::open(directory.database()).value();
  fill(file, "acme", 1);
  const Rows before = rows_of(*file, "acme");
  file.reset();
  {  // a row that refers to the tenant's, so that the last statements cannot go through
    Database raw = Database::open(directory.database(), Database::Mode::open_existing).value();
    REQUIRE(
        raw.execute("CREATE TABLE kept(tenant_id TEXT NOT NULL REFERENCES tenants(tenant_id),"
                    " n INTEGER NOT NULL, PRIMARY KEY(tenant_id, n)) STRICT, WITHOUT ROWID;"
                    "INSERT INTO kept VALUES('acme', 1)"));
  }
  file = StoreFile::open(directory.database()).value();
  const TenantBinding tenant(acme());
  CHECK_FALSE(delete_tenant_rows(tenant.context(), *file));
  CHECK(rows_of(*file, "acme") == before);
}

TEST_CASE("each table is emptied, by a statement that finds its rows by the tenant") {
  const DataDirectory directory;
  StoreFile::open(directory.database()).value().reset();
  Database database = Database::open(directory.database(), Database::Mode::open_existing).value();
  CHECK(database.query_integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").value() ==
        static_cast<std::int64_t>(tenant_deletion_texts().size()));
  CHECK(tenant_deletion_texts().size() == table_names.size());
  for (const std::string_view text : tenant_deletion_texts()) {
    CAPTURE(std::string(text));
    Statement plan = database.prepare("EXPLAIN QUERY PLAN " + std::string(text)).value();
    while (plan.step().value()) {
      const std::string line(plan.text(3));
      CAPTURE(line);
      CHECK(line.starts_with("SEARCH"));
      CHECK(line.find("tenant_id=?") != std::string::npos);
    }
  }
}

}  // namespace tenantd
