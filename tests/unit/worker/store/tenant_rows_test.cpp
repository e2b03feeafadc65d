// One tenant's rows are taken out of a database that many share: all of them, and nobody else's.
#include "worker/store/tenant_rows.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/history_store.h"

namespace tenantd {
namespace {

using namespace fixtures;

// Ids that are prefixes of each other.
constexpr std::array<std::string_view, 3> ids{"ta", "taa", "taaa"};

TenantBinding bind(std::string_view id) { return TenantBinding(TenantId::parse(id).value()); }

// Rows in every table: routes, vectors, staged ones, an image, executions and a deletion.
void fill(const TenantBinding& tenant, const std::shared_ptr<StoreFile>& file, unsigned seed) {
  TenantStore store(tenant.context().tenant(), file, 0);
  std::vector<RouteEdit> edits;
  for (unsigned i = 0; i < 4; ++i) {
    edits.push_back(
        {RouteEditKind::put, sample_route("r" + std::to_string(i), 8, 1 + i, seed + i)});
  }
  REQUIRE(store.apply(tenant.context(), edits));
  StagedVector staged{"r1", 0, edits[1].route.utterances[0]};
  REQUIRE(store.stage(tenant.context(), "other", {&staged, 1}));
  REQUIRE(store.set_image_nonce(tenant.context(), 0, seed));
  auto history = store.history(tenant.context()).value();
  std::vector<ExecutionRecord> records(6);
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i].time_us = static_cast<std::int64_t>(1'000'000 + i);
    records[i].request_id = i;
  }
  REQUIRE(history.append(tenant.context(), records, {}, {}));
  REQUIRE(history.delete_some(tenant.context(), {0, 4}, 2'000'000, 2'000'000));
}

// Each table that has a tenant's rows, as the file itself says, and a digest of these rows.
std::map<std::string, std::string> rows_of(const std::string& path, std::string_view tenant) {
  Database database = Database::open(path, Database::Mode::open_existing).value();
  std::vector<std::string> tables;
  Statement names =
      database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").value();
  while (names.step().value()) tables.emplace_back(names.text(0));
  std::map<std::string, std::string> found;
  for (const std::string& table : tables) {
    std::string columns;
    Statement info =
        database.prepare("SELECT name FROM pragma_table_info('" + table + "')").value();
    while (info.step().value()) {
      if (!columns.empty()) columns += " || '|' || ";
      columns += "quote(" + std::string(info.text(0)) + ")";
    }
    Statement rows =
        database.prepare("SELECT " + columns + " FROM " + table + " WHERE tenant_id = ?1").value();
    rows.bind(1, tenant);
    std::string text;
    while (rows.step().value()) text.append(rows.text(0)).append("\n");
    if (!text.empty()) found[table] = text;
  }
  return found;
}

}  // namespace

TEST_CASE("a tenant's rows are deleted from every table, in steps of any size, and no other's") {
  for (const std::int64_t most : {std::int64_t{1}, std::int64_t{3}, all_tenant_rows}) {
    CAPTURE(most);
    const DataDirectory directory;
    std::vector<std::map<std::string, std::string>> before;
    auto file = StoreFile::open(directory.database()).value();
    for (unsigned i = 0; i < ids.size(); ++i) fill(bind(ids[i]), file, 30 * (i + 1));
    file.reset();
    for (const auto id : ids) before.push_back(rows_of(directory.database(), id));
    // A table that is added later is either filled here and emptied there, or told about.
    REQUIRE(before[1].size() == 7);
    file = StoreFile::open(directory.database()).value();
    const TenantBinding middle = bind(ids[1]);
    std::size_t calls = 1;
    while (delete_tenant_rows(middle.context(), *file, most).value()) ++calls;
    if (most == 1) CHECK(calls > 20);
    if (most == all_tenant_rows) CHECK(calls == 1);
    file.reset();
    CHECK(rows_of(directory.database(), ids[1]).empty());
    CHECK(rows_of(directory.database(), ids[0]) == before[0]);
    CHECK(rows_of(directory.database(), ids[2]) == before[2]);
    // The tenant may come again, as one that never was.
    file = StoreFile::open(directory.database()).value();
    CHECK_FALSE(delete_tenant_rows(middle.context(), *file, most).value());
    fill(middle, file, 60);
    file.reset();
    CHECK(rows_of(directory.database(), ids[1]) == before[1]);
  }
}

TEST_CASE("what clears a tenant away finds its rows by the tenant") {
  const DataDirectory directory;
  StoreFile::open(directory.database()).value().reset();
  Database database = Database::open(directory.database(), Database::Mode::open_existing).value();
  for (const std::string_view text : tenant_rows_statement_texts()) {
    CAPTURE(std::string(text));
    Statement plan = database.prepare("EXPLAIN QUERY PLAN " + std::string(text)).value();
    while (plan.step().value()) {
      const std::string line(plan.text(3));
      CAPTURE(line);
      CHECK(line.find("SCAN") != 0);
      if (line.starts_with("SEARCH")) CHECK(line.find("(tenant_id=?") != std::string::npos);
    }
  }
}

}  // namespace tenantd
