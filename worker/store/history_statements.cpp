#include "worker/store/history_statements.h"

#include <array>
#include <optional>
#include <utility>

namespace tenantd {
namespace {

constexpr std::array<std::string_view, 13> texts{
    "INSERT INTO tenants(tenant_id, snapshot_version, route_count) VALUES(?1, 0, 0)"
    " ON CONFLICT DO NOTHING",
    "SELECT executions, executed, retention_days, max_executions FROM tenants"
    " WHERE tenant_id = ?1",
    "UPDATE tenants SET executions = executions + ?2, executed = executed + ?3"
    " WHERE tenant_id = ?1",
    "UPDATE tenants SET retention_days = ?2, max_executions = ?3 WHERE tenant_id = ?1",
    "INSERT INTO executions VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    "SELECT time_us, serial, request_id, route, confidence, latency_us, user, outcome"
    " FROM executions WHERE tenant_id = ?1 AND time_us >= ?2 AND (time_us, serial) < (?3, ?4)"
    " ORDER BY time_us DESC, serial DESC LIMIT ?5",
    "SELECT time_us, serial FROM executions WHERE tenant_id = ?1"
    " ORDER BY time_us, serial LIMIT 1 OFFSET ?2",
    "SELECT time_us FROM executions WHERE tenant_id = ?1 AND (time_us, serial) < (?2, ?3)"
    " ORDER BY time_us DESC, serial DESC LIMIT 1",
    "DELETE FROM executions WHERE tenant_id = ?1 AND (time_us, serial) < (?2, ?3)",
    "INSERT INTO deletions VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET"
    " count = count + excluded.count, newest_us = excluded.newest_us",
    "DELETE FROM deletions WHERE tenant_id = ?1 AND time_us <= (SELECT time_us FROM deletions"
    " WHERE tenant_id = ?1 ORDER BY time_us DESC LIMIT 1 OFFSET ?2)",
    "SELECT time_us, what, count, oldest_us, newest_us FROM deletions WHERE tenant_id = ?1"
    " ORDER BY time_us DESC, what LIMIT ?2",
    "SELECT tenant_id FROM tenants WHERE tenant_id > ?1 AND executions > 0"
    " ORDER BY tenant_id LIMIT 1"};

}  // namespace

std::span<const std::string_view> history_statement_texts() noexcept {
  return std::span(texts).first(texts.size() - 1);
}

Result<std::unique_ptr<HistoryStatements>> HistoryStatements::prepare(Database& database) {
  std::array<std::optional<Statement>, texts.size()> all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Result<Statement> statement = database.prepare(texts[i]);
    if (!statement) return fail(statement.error());
    all[i].emplace(std::move(*statement));
  }
  const auto take = [&all](std::size_t i) { return std::move(*all[i]); };
  return std::unique_ptr<HistoryStatements>(
      new HistoryStatements{take(0), take(1), take(2), take(3), take(4), take(5), take(6), take(7),
                            take(8), take(9), take(10), take(11), take(12)});
}

void HistoryStatements::end_all() noexcept {
  for (Statement* statement :
       {&insert_tenant, &select_tenant, &update_tenant, &update_bounds, &insert_execution,
        &select_executions, &nth_execution, &newest_execution, &delete_executions, &insert_deletion,
        &trim_deletions, &select_deletions, &next_tenant}) {
    statement->done();
  }
}

}  // namespace tenantd
