#include "worker/store/tenant_rows.h"

#include <array>

namespace tenantd {
namespace {

// What refers to a row goes before it.
constexpr std::array<std::string_view, 7> deletions{
    "DELETE FROM staged_vectors WHERE tenant_id = ?1",
    "DELETE FROM utterances WHERE tenant_id = ?1",
    "DELETE FROM routes WHERE tenant_id = ?1",
    "DELETE FROM route_images WHERE tenant_id = ?1",
    "DELETE FROM executions WHERE tenant_id = ?1",
    "DELETE FROM deletions WHERE tenant_id = ?1",
    "DELETE FROM tenants WHERE tenant_id = ?1"};

}  // namespace

std::span<const std::string_view> tenant_deletion_texts() noexcept { return deletions; }

// The statements are prepared here: they run once in a tenant's life.
Status delete_tenant_rows(const ExecutionContext& context, StoreFile& file) {
  Result<Transaction> transaction = Transaction::begin(file.database());
  if (!transaction) return fail(transaction.error());
  for (const std::string_view text : deletions) {
    Result<Statement> statement = file.database().prepare(text);
    if (!statement) return fail(statement.error());
    statement->bind(1, context.tenant().view());
    if (Status status = statement->run(); !status) return status;
  }
  return transaction->commit();
}

}  // namespace tenantd
