// Rows as a file itself has them, whatever the store makes of them, and a tenant with some in every
// table.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "tests/unit/worker/store/store_fixtures.h"
#include "worker/store/history_store.h"

namespace tenantd::fixtures {

inline TenantBinding tenant_named(std::string_view id) {
  return TenantBinding(TenantId::parse(id).value());
}

// Routes, vectors, staged ones, an image, executions and a deletion.
inline void fill(const TenantBinding& tenant, const std::shared_ptr<StoreFile>& file, unsigned seed,
                 unsigned routes = 4) {
  TenantStore store(tenant.context().tenant(), file, 0);
  std::vector<RouteEdit> edits;
  for (unsigned i = 0; i < routes; ++i) {
    edits.push_back(
        {RouteEditKind::put, sample_route("r" + std::to_string(i), 8, i % 7, seed + i)});
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

// Each table that has a tenant's rows, and these rows as text; where they move is not among them.
inline std::map<std::string, std::string> rows_of(const std::string& path,
                                                  std::string_view tenant) {
  Database database = Database::open(path, Database::Mode::open_existing).value();
  std::vector<std::string> tables;
  Statement names =
      database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").value();
  while (names.step().value()) tables.emplace_back(names.text(0));
  std::map<std::string, std::string> found;
  for (const std::string& table : tables) {
    if (table == "moves") continue;
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

}  // namespace tenantd::fixtures
