#include "worker/store/history_store.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "worker/store/store_file.h"

namespace tenantd {
namespace {

constexpr std::int64_t day_us = 86'400'000'000;

std::int64_t stored(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }

StoredExecution execution_of(const Statement& row) {
  StoredExecution execution;
  execution.place = {row.integer(0), static_cast<std::uint64_t>(row.integer(1))};
  execution.request_id = static_cast<std::uint64_t>(row.integer(2));
  execution.route = row.text(3);
  execution.confidence = row.real(4);
  execution.latency_us = static_cast<std::uint32_t>(row.integer(5));
  execution.user = row.text(6);
  execution.outcome = static_cast<std::uint8_t>(row.integer(7));
  return execution;
}

}  // namespace

std::string user_text(const Caller& caller) {
  char text[24];
  if (caller.token_tag != 0) {
    (void)std::snprintf(text, sizeof text, "token:%08x", caller.token_tag);
  } else {
    (void)std::snprintf(text, sizeof text, "uid:%u", caller.uid);
  }
  return text;
}

HistoryStore::HistoryStore(TenantId tenant, std::shared_ptr<StoreFile> file)
    : tenant_(tenant), file_(std::move(file)) {}

Result<HistoryStatements*> HistoryStore::enter(const ExecutionContext& context) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  return file_->history_statements();
}

Status HistoryStore::append(const ExecutionContext& context, std::span<const ExecutionRecord> first,
                            std::span<const ExecutionRecord> second, HistoryBounds bounds) {
  const auto statements = enter(context);
  if (!statements) return fail(statements.error());
  Result<Transaction> transaction = Transaction::begin(file_->database());
  if (!transaction) return fail(transaction.error());
  Status appended = append_all(**statements, first, second, bounds);
  // An unfinished statement would keep the transaction from ending.
  (*statements)->end_all();
  return appended ? transaction->commit() : appended;
}

Status HistoryStore::append_all(HistoryStatements& statements,
                                std::span<const ExecutionRecord> first,
                                std::span<const ExecutionRecord> second, HistoryBounds bounds) {
  statements.insert_tenant.bind(1, tenant_.view());
  if (Status status = statements.insert_tenant.run(); !status) return status;
  const Result<Counts> before = counts(statements);
  if (!before) return fail(before.error());
  std::int64_t serial = before->ever;
  for (const auto part : {first, second}) {
    for (const ExecutionRecord& record : part) {
      if (Status status = insert(statements, record, ++serial); !status) return status;
    }
  }
  const std::int64_t added = serial - before->ever;
  std::int64_t removed = 0;
  const auto held = static_cast<std::uint64_t>(before->held + added);
  const std::uint64_t most = bounds.max_executions;
  if (most != 0 && held > most) {
    // Twice what has come, so that a bound that was lowered is reached.
    const std::uint64_t over =
        std::min(held - most, std::max<std::uint64_t>(2 * static_cast<std::uint64_t>(added), 1));
    const auto place = nth(statements, over);
    if (!place) return fail(place.error());
    const auto gone = delete_before(
        statements, place->value_or(ExecutionPlace{std::numeric_limits<std::int64_t>::max(), 0}));
    if (!gone) return fail(gone.error());
    removed = *gone;
  }
  if (before->bounds != bounds) {
    if (Status status = change_bounds(statements, bounds); !status) return status;
  }
  return change_counts(statements, added - removed, added);
}

Status HistoryStore::insert(HistoryStatements& statements, const ExecutionRecord& record,
                            std::int64_t serial) {
  const std::string user = user_text(record.caller);
  Statement& insert = statements.insert_execution;
  insert.bind(1, tenant_.view());
  insert.bind(2, record.time_us);
  insert.bind(3, serial);
  insert.bind(4, stored(record.request_id));
  insert.bind(5, record.route.view());
  insert.bind(6, static_cast<double>(record.confidence));
  insert.bind(7, std::int64_t{record.latency_us});
  insert.bind(8, std::string_view(user));
  insert.bind(9, std::int64_t{record.outcome});
  return insert.run();
}

Result<HistoryStore::Counts> HistoryStore::counts(HistoryStatements& statements) {
  Statement& select = statements.select_tenant;
  select.bind(1, tenant_.view());
  const Result<bool> row = select.step();
  if (!row) return fail(row.error());
  Counts counts;
  if (*row) {
    counts.held = select.integer(0);
    counts.ever = select.integer(1);
    counts.bounds.retention_days = static_cast<std::uint32_t>(select.integer(2));
    counts.bounds.max_executions = static_cast<std::uint64_t>(select.integer(3));
  }
  select.done();
  return counts;
}

Status HistoryStore::change_counts(HistoryStatements& statements, std::int64_t held,
                                   std::int64_t ever) {
  Statement& update = statements.update_tenant;
  update.bind(1, tenant_.view());
  update.bind(2, held);
  update.bind(3, ever);
  return update.run();
}

Result<std::optional<ExecutionPlace>> HistoryStore::nth(HistoryStatements& statements,
                                                        std::uint64_t n) {
  Statement& select = statements.nth_execution;
  select.bind(1, tenant_.view());
  select.bind(2, stored(n));
  const Result<bool> row = select.step();
  if (!row) return fail(row.error());
  std::optional<ExecutionPlace> place;
  if (*row) place = {select.integer(0), static_cast<std::uint64_t>(select.integer(1))};
  select.done();
  return place;
}

Result<std::int64_t> HistoryStore::newest_before(HistoryStatements& statements,
                                                 ExecutionPlace place) {
  Statement& select = statements.newest_execution;
  select.bind(1, tenant_.view());
  select.bind(2, place.time_us);
  select.bind(3, stored(place.serial));
  const Result<bool> row = select.step();
  if (!row) return fail(row.error());
  const std::int64_t time_us = *row ? select.integer(0) : 0;
  select.done();
  return time_us;
}

Result<std::int64_t> HistoryStore::delete_before(HistoryStatements& statements,
                                                 ExecutionPlace place) {
  Statement& remove = statements.delete_executions;
  remove.bind(1, tenant_.view());
  remove.bind(2, place.time_us);
  remove.bind(3, stored(place.serial));
  if (Status status = remove.run(); !status) return fail(status.error());
  return file_->database().changes();
}

Result<std::vector<StoredExecution>> HistoryStore::read(const ExecutionContext& context,
                                                        std::int64_t since_us,
                                                        ExecutionPlace before,
                                                        std::uint32_t limit) {
  const auto statements = enter(context);
  if (!statements) return fail(statements.error());
  Statement& select = (*statements)->select_executions;
  select.bind(1, tenant_.view());
  select.bind(2, since_us);
  select.bind(3, before.time_us);
  select.bind(4, stored(std::min<std::uint64_t>(before.serial, INT64_MAX)));
  select.bind(5, std::int64_t{limit});
  std::vector<StoredExecution> found;
  for (;;) {
    const Result<bool> row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return found;
    found.push_back(execution_of(select));
  }
}

Status HistoryStore::keep_bounds(const ExecutionContext& context, HistoryBounds bounds) {
  const auto statements = enter(context);
  if (!statements) return fail(statements.error());
  const Result<Counts> now = counts(**statements);
  if (!now) return fail(now.error());
  if (now->held == 0 || now->bounds == bounds) return {};  // most openings write nothing
  return change_bounds(**statements, bounds);
}

Status HistoryStore::change_bounds(HistoryStatements& statements, HistoryBounds bounds) {
  Statement& update = statements.update_bounds;
  update.bind(1, tenant_.view());
  update.bind(2, std::int64_t{bounds.retention_days});
  update.bind(3, stored(bounds.max_executions));
  return update.run();
}

Result<bool> HistoryStore::delete_some(const ExecutionContext& context, HistoryBounds bounds,
                                       std::int64_t now_us, std::int64_t run_us) {
  const auto statements = enter(context);
  if (!statements) return fail(statements.error());
  Result<Transaction> transaction = Transaction::begin(file_->database());
  if (!transaction) return fail(transaction.error());
  const Result<bool> more = delete_step(**statements, bounds, now_us, run_us);
  (*statements)->end_all();
  if (!more) return more;
  if (Status status = transaction->commit(); !status) return fail(status.error());
  return more;
}

Result<bool> HistoryStore::delete_step(HistoryStatements& statements, HistoryBounds bounds,
                                       std::int64_t now_us, std::int64_t run_us) {
  const Result<Counts> before = counts(statements);
  if (!before) return fail(before.error());
  const auto oldest = nth(statements, 0);
  if (!oldest) return fail(oldest.error());
  if (!*oldest) return false;
  ExecutionPlace end;  // what is before it goes
  if (bounds.retention_days != 0)
    end.time_us = now_us - std::int64_t{bounds.retention_days} * day_us;
  const auto held = static_cast<std::uint64_t>(before->held);
  const std::uint64_t over =
      bounds.max_executions != 0 && held > bounds.max_executions ? held - bounds.max_executions : 0;
  const auto earlier = [](ExecutionPlace a, ExecutionPlace b) {
    return std::pair(a.time_us, a.serial) < std::pair(b.time_us, b.serial);
  };
  if (over > 0) {
    const auto first_kept = nth(statements, std::min(over, step_rows));
    if (!first_kept) return fail(first_kept.error());
    if (*first_kept && earlier(end, **first_kept)) end = **first_kept;
  }
  const auto step_end = nth(statements, step_rows);
  if (!step_end) return fail(step_end.error());
  const bool too_long = *step_end && earlier(**step_end, end);
  if (too_long) end = **step_end;
  const bool more = too_long || over > step_rows;
  const auto newest = newest_before(statements, end);
  if (!newest) return fail(newest.error());
  const auto gone = delete_before(statements, end);
  if (!gone) return fail(gone.error());
  if (*gone == 0) return false;
  if (Status status = change_counts(statements, -*gone, 0); !status) return fail(status.error());
  const Status noted = note_deletion(
      statements,
      {run_us, "executions", static_cast<std::uint64_t>(*gone), (*oldest)->time_us, *newest});
  if (!noted) return fail(noted.error());
  return more;
}

Status HistoryStore::note_deletion(HistoryStatements& statements, const Deletion& deletion) {
  Statement& insert = statements.insert_deletion;
  insert.bind(1, tenant_.view());
  insert.bind(2, deletion.time_us);
  insert.bind(3, std::string_view(deletion.what));
  insert.bind(4, stored(deletion.count));
  insert.bind(5, deletion.oldest_us);
  insert.bind(6, deletion.newest_us);
  if (Status status = insert.run(); !status) return status;
  Statement& trim = statements.trim_deletions;
  trim.bind(1, tenant_.view());
  trim.bind(2, stored(kept_deletions));
  return trim.run();
}

Result<HistorySummary> HistoryStore::summary(const ExecutionContext& context,
                                             std::uint32_t deletions) {
  const auto statements = enter(context);
  if (!statements) return fail(statements.error());
  const Result<Counts> now = counts(**statements);
  if (!now) return fail(now.error());
  HistorySummary summary;
  summary.executions = static_cast<std::uint64_t>(now->held);
  summary.bounds = now->bounds;
  const auto oldest = nth(**statements, 0);
  if (!oldest) return fail(oldest.error());
  if (*oldest) summary.oldest_us = (*oldest)->time_us;
  const auto newest = newest_before(**statements, {std::numeric_limits<std::int64_t>::max(), 0});
  if (!newest) return fail(newest.error());
  summary.newest_us = *newest;
  Statement& select = (*statements)->select_deletions;
  select.bind(1, tenant_.view());
  select.bind(2, std::int64_t{deletions});
  for (;;) {
    const Result<bool> row = select.step();
    if (!row) return fail(row.error());
    if (!*row) return summary;
    summary.deletions.push_back({select.integer(0), std::string(select.text(1)),
                                 static_cast<std::uint64_t>(select.integer(2)), select.integer(3),
                                 select.integer(4)});
  }
}

Result<std::string> next_tenant_with_history(StoreFile& shard, std::string_view behind) {
  const auto statements = shard.history_statements();
  if (!statements) return fail(statements.error());
  Statement& select = (*statements)->next_tenant;
  select.bind(1, behind);
  const Result<bool> row = select.step();
  if (!row) return fail(row.error());
  std::string tenant(*row ? select.text(0) : std::string_view());
  select.done();
  return tenant;
}

}  // namespace tenantd
