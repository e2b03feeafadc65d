// A database file of routes: the lease on it, the connection, and every statement that runs on it.
//
// Runs in: worker; private to the store. One tenant has it alone, or many share it (a shard). Their
// rows are told apart by three things: each key begins with the tenant (schema.h), only the
// statements here run and each takes the context's tenant as parameter 1, and the connection
// refuses whatever is not of their kind.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/database/sqlite.h"
#include "worker/store/history_statements.h"
#include "worker/store/lock_file.h"

namespace tenantd {

// Prepared once. Parameter 1 is always the context's tenant.
struct StoreStatements {
  Statement insert_tenant;
  Statement select_tenant;
  Statement update_tenant;
  Statement select_routes;
  Statement select_count;
  Statement insert_route;
  Statement update_count;
  Statement delete_route;
  Statement select_utterances;
  Statement insert_utterance;
  Statement delete_utterances;
  Statement insert_staged;
  Statement count_staged;
  Statement delete_staged;        // of a route
  Statement delete_other_staged;  // of other targets
  Statement select_staged;
  Statement update_utterance;  // its vector
  Statement clear_staged;
  Statement update_versions;  // of all routes
  Statement select_images;
  Statement replace_image;
  Statement select_some_routes;  // ids and counts behind an id
  Statement route_bytes;         // of a route and its utterances
  Statement tenant_bytes;        // how many more there are than the tenant's row says

  [[nodiscard]] static Result<std::unique_ptr<StoreStatements>> prepare(Database& database);
  // Ends unfinished uses, so that no read lock outlives a call.
  void end_all() noexcept;
};

// Their texts, for the tests that look at what SQLite makes of them.
[[nodiscard]] std::span<const std::string_view> store_statement_texts() noexcept;

class StoreFile {
 public:
  // Blocking. Opens `path`, or makes it if it is empty or missing and never was complete; takes
  // the lease `path`.lock. Errors: as of TenantStore::open.
  [[nodiscard]] static Result<std::shared_ptr<StoreFile>> open(const std::string& path);

  [[nodiscard]] Database& database() noexcept { return database_; }
  [[nodiscard]] StoreStatements& statements() noexcept { return *statements_; }
  // Prepared when they are first wanted: most tenants keep no history. Errors: store_degraded.
  [[nodiscard]] Result<HistoryStatements*> history_statements();

 private:
  StoreFile(LockFile lock, Database database, std::unique_ptr<StoreStatements> statements);
  LockFile lock_;
  Database database_;
  std::unique_ptr<StoreStatements> statements_;  // before database_ in destruction
  std::unique_ptr<HistoryStatements> history_;   // likewise
};

}  // namespace tenantd
