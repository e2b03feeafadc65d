// The part of TenantStore that a change of encoder needs.
#include "worker/store/rows.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

Status TenantStore::stage(const ExecutionContext& context, std::string_view target,
                          std::span<const StagedVector> vectors) {
  if (Status status = check(context); !status) return status;
  if (corrupt_) return fail(ErrorCode::store_degraded, degraded_reason());
  Result<Transaction> transaction = Transaction::begin(file_->database());
  if (!transaction) return fail(transaction.error());
  Statement& insert = file_->statements().insert_staged;
  for (const StagedVector& vector : vectors) {
    const auto ordinal = static_cast<std::int64_t>(vector.ordinal);
    insert.bind(1, context.tenant().view());
    insert.bind(2, std::string_view(vector.route));
    insert.bind(3, ordinal);
    insert.bind(4, target);
    insert.bind(5, std::string_view(vector.utterance.encoder));
    insert.bind(6, embedding_bytes(vector.utterance.embedding));
    insert.bind(7, utterance_checksum(vector.route, ordinal, vector.utterance));
    if (Status status = insert.run(); !status) {
      file_->statements().end_all();
      return status;
    }
  }
  return transaction->commit();
}

Result<std::vector<std::pair<std::string, std::uint32_t>>> TenantStore::count_staged(
    const ExecutionContext& context, std::string_view target) {
  if (Status status = check(context); !status) return fail(status.error());
  Statement& others = file_->statements().delete_other_staged;
  others.bind(1, context.tenant().view());
  others.bind(2, target);
  if (Status status = others.run(); !status) return fail(status.error());
  std::vector<std::pair<std::string, std::uint32_t>> counts;
  Statement& rows = file_->statements().count_staged;
  rows.bind(1, context.tenant().view());
  for (;;) {
    const Result<bool> row = rows.step();
    if (!row) {
      file_->statements().end_all();
      return fail(row.error());
    }
    if (!*row) return counts;
    const std::int64_t count = rows.integer(1);
    // Slices leave no gaps; what has one is encoded again.
    if (count == rows.integer(2) + 1) {
      counts.emplace_back(std::string(rows.text(0)), static_cast<std::uint32_t>(count));
    }
  }
}

// Row by row: one statement for all would gather them first, and there is little room for that.
Status TenantStore::move_staged(std::string_view tenant, std::uint64_t expected) {
  Statement& rows = file_->statements().select_staged;
  Statement& update = file_->statements().update_utterance;
  rows.bind(1, tenant);
  std::uint64_t moved = 0;
  for (;; ++moved) {
    const Result<bool> row = rows.step();
    if (!row) return fail(row.error());
    if (!*row) break;
    update.bind(1, tenant);
    update.bind(2, rows.text(0));
    update.bind(3, rows.integer(1));
    update.bind(4, rows.text(2));
    update.bind(5, rows.blob(3));
    update.bind(6, rows.integer(4));
    if (Status status = update.run(); !status) return status;
    if (file_->database().changes() != 1) break;
  }
  if (moved == expected) return {};
  return fail(ErrorCode::internal, "the vectors of the new encoder are not one an utterance");
}

Result<std::uint64_t> TenantStore::take_staged(const ExecutionContext& context,
                                               std::uint64_t expected) {
  if (Status status = check(context); !status) return fail(status.error());
  if (corrupt_) return fail(ErrorCode::store_degraded, degraded_reason());
  Result<Transaction> transaction = Transaction::begin(file_->database());
  if (!transaction) return fail(transaction.error());
  Status status = move_staged(context.tenant().view(), expected);
  if (status) {
    file_->statements().clear_staged.bind(1, context.tenant().view());
    status = file_->statements().clear_staged.run();
  }
  if (!status) {
    file_->statements().end_all();
    return fail(status.error());
  }
  const auto grown = recount(context.tenant().view());
  if (!grown) return fail(grown.error());
  const auto version = raise_version(context.tenant().view(), *grown);
  if (!version) return version;
  Statement& versions = file_->statements().update_versions;
  versions.bind(1, context.tenant().view());
  versions.bind(2, static_cast<std::int64_t>(*version));
  if (status = versions.run(); !status) return fail(status.error());
  if (status = transaction->commit(); !status) return fail(status.error());
  return version;
}

// Vectors of another encoder have another length.
Result<TenantStore::Growth> TenantStore::recount(std::string_view tenant) {
  Statement& count = file_->statements().tenant_bytes;
  count.bind(1, tenant);
  const Result<bool> row = count.step();
  if (!row) return fail(row.error());
  if (!*row) return fail(ErrorCode::internal, "the tenant has no row");
  const Growth growth{0, count.integer(0)};
  count.done();
  return growth;
}

}  // namespace tenantd
