#include "worker/store/tenant_rows.h"

#include <array>

namespace tenantd {
namespace {

// Who is referred to goes after those who refer to it.
constexpr std::array<std::string_view, 7> delete_texts{
    "DELETE FROM staged_vectors WHERE tenant_id = ?1 AND (route_id, ordinal) IN (SELECT route_id,"
    " ordinal FROM staged_vectors WHERE tenant_id = ?1 LIMIT ?2)",
    "DELETE FROM utterances WHERE tenant_id = ?1 AND (route_id, ordinal) IN (SELECT route_id,"
    " ordinal FROM utterances WHERE tenant_id = ?1 LIMIT ?2)",
    "DELETE FROM routes WHERE tenant_id = ?1 AND route_id IN (SELECT route_id FROM routes"
    " WHERE tenant_id = ?1 LIMIT ?2)",
    "DELETE FROM route_images WHERE tenant_id = ?1 AND slot IN (SELECT slot FROM route_images"
    " WHERE tenant_id = ?1 LIMIT ?2)",
    "DELETE FROM executions WHERE tenant_id = ?1 AND (time_us, serial) IN (SELECT time_us, serial"
    " FROM executions WHERE tenant_id = ?1 LIMIT ?2)",
    "DELETE FROM deletions WHERE tenant_id = ?1 AND (time_us, what) IN (SELECT time_us, what"
    " FROM deletions WHERE tenant_id = ?1 LIMIT ?2)",
    "DELETE FROM tenants WHERE tenant_id = ?1 AND ?2 > 0"};

}  // namespace

std::span<const std::string_view> tenant_rows_statement_texts() noexcept { return delete_texts; }

Result<bool> delete_tenant_rows(const ExecutionContext& context, StoreFile& file,
                                std::int64_t most_rows) {
  Database& database = file.database();
  Result<Transaction> transaction = Transaction::begin(database);
  if (!transaction) return fail(transaction.error());
  std::int64_t left = most_rows;
  for (const std::string_view text : delete_texts) {
    Result<Statement> remove = database.prepare(text);
    if (!remove) return fail(remove.error());
    remove->bind(1, context.tenant().view());
    remove->bind(2, left);
    if (Status status = remove->run(); !status) return fail(status.error());
    left -= database.changes();
    if (left <= 0) break;  // a row that others refer to never goes before them
  }
  if (Status status = transaction->commit(); !status) return fail(status.error());
  return left <= 0;
}

}  // namespace tenantd
