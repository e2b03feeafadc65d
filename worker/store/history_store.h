// A tenant's history in its database: executions, newest last, and what was deleted of them when.
//
// Runs in: worker, editor thread. Every call blocks on the disk and is one transaction, short
// enough that an edit waits some milliseconds for it. A failure here is none of the routes':
// nothing of the store degrades for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "worker/history/execution_record.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

class StoreFile;
struct HistoryStatements;

// What a history keeps at most; 0: as long, as many as there are.
struct HistoryBounds {
  std::uint32_t retention_days = 0;
  std::uint64_t max_executions = 0;
  friend bool operator==(const HistoryBounds&, const HistoryBounds&) = default;
};

// Where an execution is in the order of time.
struct ExecutionPlace {
  std::int64_t time_us = 0;
  std::uint64_t serial = 0;
};

struct StoredExecution {
  ExecutionPlace place;
  std::uint64_t request_id = 0;
  std::string route;
  double confidence = 0;
  std::uint32_t latency_us = 0;
  std::string user;
  std::uint8_t outcome = 0;
  friend bool operator==(const StoredExecution&, const StoredExecution&) = default;
};

struct Deletion {
  std::int64_t time_us = 0;  // of the run
  std::string what;
  std::uint64_t count = 0;
  std::int64_t oldest_us = 0;
  std::int64_t newest_us = 0;
};

struct HistorySummary {
  std::uint64_t executions = 0;
  std::int64_t oldest_us = 0;  // 0: there are none
  std::int64_t newest_us = 0;
  HistoryBounds bounds;             // as last stored
  std::vector<Deletion> deletions;  // newest first
};

// "uid:1000", "token:9f86d081"
[[nodiscard]] std::string user_text(const Caller& caller);

class HistoryStore {
 public:
  // What a row takes of the file at most, its share of half-empty pages included.
  static constexpr std::uint64_t row_bytes = 512;
  static constexpr std::uint64_t step_rows = 200;  // deleted in one transaction: below 1 ms of CPU
  static constexpr std::uint64_t kept_deletions = 500;

  HistoryStore(TenantId tenant, std::shared_ptr<StoreFile> file);

  // Adds records in their order, then takes the oldest away where there are more than the bounds
  // allow (some of them: the next calls do the rest), and writes the bounds down, for who looks
  // while the tenant sleeps. Errors: no_tenant, store_degraded; then nothing was added.
  [[nodiscard]] Status append(const ExecutionContext& context,
                              std::span<const ExecutionRecord> first,
                              std::span<const ExecutionRecord> second, HistoryBounds bounds);
  // At most `limit`, newest first: not older than `since_us` and before `before`. Errors:
  // no_tenant, store_degraded.
  [[nodiscard]] Result<std::vector<StoredExecution>> read(const ExecutionContext& context,
                                                          std::int64_t since_us,
                                                          ExecutionPlace before,
                                                          std::uint32_t limit);
  // Writes the bounds down of a tenant that has executions. Errors: no_tenant, store_degraded.
  [[nodiscard]] Status keep_bounds(const ExecutionContext& context, HistoryBounds bounds);
  // Deletes some of what is over `bounds` at `now_us`, and records it under `run_us`. True: there
  // is more to delete. Errors: no_tenant, store_degraded.
  [[nodiscard]] Result<bool> delete_some(const ExecutionContext& context, HistoryBounds bounds,
                                         std::int64_t now_us, std::int64_t run_us);
  // With at most `deletions` runs; 0: numbers only. Errors: no_tenant, store_degraded.
  [[nodiscard]] Result<HistorySummary> summary(const ExecutionContext& context,
                                               std::uint32_t deletions);

 private:
  struct Counts {
    std::int64_t held = 0;
    std::int64_t ever = 0;
    HistoryBounds bounds;
  };
  // The statements, if the context is the tenant's.
  [[nodiscard]] Result<HistoryStatements*> enter(const ExecutionContext& context);
  [[nodiscard]] Status append_all(HistoryStatements& statements,
                                  std::span<const ExecutionRecord> first,
                                  std::span<const ExecutionRecord> second, HistoryBounds bounds);
  [[nodiscard]] Result<bool> delete_step(HistoryStatements& statements, HistoryBounds bounds,
                                         std::int64_t now_us, std::int64_t run_us);
  [[nodiscard]] Status insert(HistoryStatements& statements, const ExecutionRecord& record,
                              std::int64_t serial);
  [[nodiscard]] Result<Counts> counts(HistoryStatements& statements);
  // The n-th from the oldest on, from 0.
  [[nodiscard]] Result<std::optional<ExecutionPlace>> nth(HistoryStatements& statements,
                                                          std::uint64_t n);
  [[nodiscard]] Result<std::int64_t> newest_before(HistoryStatements& statements,
                                                   ExecutionPlace place);
  // Returns how many.
  [[nodiscard]] Result<std::int64_t> delete_before(HistoryStatements& statements,
                                                   ExecutionPlace place);
  [[nodiscard]] Status change_bounds(HistoryStatements& statements, HistoryBounds bounds);
  [[nodiscard]] Status change_counts(HistoryStatements& statements, std::int64_t held,
                                     std::int64_t ever);
  [[nodiscard]] Status note_deletion(HistoryStatements& statements, const Deletion& deletion);

  TenantId tenant_;
  std::shared_ptr<StoreFile> file_;
};

// The next tenant of a shard, in the order of ids, that has a history; empty: no more. Blocking.
// Errors: store_degraded.
[[nodiscard]] Result<std::string> next_tenant_with_history(StoreFile& shard,
                                                           std::string_view behind);

}  // namespace tenantd
