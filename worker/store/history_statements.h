// The statements of a tenant's history, and the one that finds who has one.
//
// Runs in: worker; private to the store and to who sweeps a shard. As those of store_file.h: the
// only ones of their kind, and parameter 1 is the context's tenant.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "shared/base/error.h"
#include "shared/database/sqlite.h"

namespace tenantd {

struct HistoryStatements {
  Statement insert_tenant;
  Statement select_tenant;
  Statement update_tenant;  // how many there are and were
  Statement update_bounds;
  Statement insert_execution;
  Statement select_executions;
  Statement nth_execution;     // from the oldest on
  Statement newest_execution;  // before a place
  Statement delete_executions;
  Statement insert_deletion;
  Statement trim_deletions;
  Statement select_deletions;
  // Parameter 1 is where to look from: the next tenant behind that has a history. Gives an id and
  // nothing else, for who makes that tenant's own context of it.
  Statement next_tenant;

  [[nodiscard]] static Result<std::unique_ptr<HistoryStatements>> prepare(Database& database);
  // Ends unfinished uses, so that no read lock outlives a call.
  void end_all() noexcept;
};

// Their texts but for next_tenant's, for the tests that look at what SQLite makes of them.
[[nodiscard]] std::span<const std::string_view> history_statement_texts() noexcept;

}  // namespace tenantd
