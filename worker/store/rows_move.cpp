#include "worker/store/rows_move.h"

#include <algorithm>
#include <utility>

#include "worker/store/tenant_rows.h"

namespace tenantd {
namespace {

// Of a tenant in a file, as stored.
enum class MoveState : std::int64_t { arriving = 0, arrived = 1, left = 2 };

// Who is referred to goes before those who refer to it. `columns`: t text, i integer, r real,
// b blob; the first is the tenant, and the key follows it, `key` columns of it.
struct MovedTable {
  std::string_view columns;
  std::size_t key;
};
constexpr std::array<MovedTable, 7> moved_tables{{{"tiiiiiii", 0},
                                                  {"tttttriitiiir", 1},
                                                  {"ttittbi", 2},
                                                  {"ttittbi", 2},
                                                  {"tii", 1},
                                                  {"tiiitriti", 2},
                                                  {"titiii", 2}}};

constexpr std::size_t first_texts = 0;    // of a table: its first rows
constexpr std::size_t next_texts = 7;     // those behind a key
constexpr std::size_t insert_texts = 14;  // a row
constexpr std::size_t select_move = 21;
constexpr std::size_t put_move = 22;
constexpr std::array<std::string_view, 23> move_texts{
    "SELECT * FROM tenants WHERE tenant_id = ?1 LIMIT ?2",
    "SELECT * FROM routes WHERE tenant_id = ?1 ORDER BY route_id LIMIT ?2",
    "SELECT * FROM utterances WHERE tenant_id = ?1 ORDER BY route_id, ordinal LIMIT ?2",
    "SELECT * FROM staged_vectors WHERE tenant_id = ?1 ORDER BY route_id, ordinal LIMIT ?2",
    "SELECT * FROM route_images WHERE tenant_id = ?1 ORDER BY slot LIMIT ?2",
    "SELECT * FROM executions WHERE tenant_id = ?1 ORDER BY time_us, serial LIMIT ?2",
    "SELECT * FROM deletions WHERE tenant_id = ?1 ORDER BY time_us, what LIMIT ?2",
    "SELECT * FROM tenants WHERE tenant_id = ?1 AND ?2 < 0",
    "SELECT * FROM routes WHERE tenant_id = ?1 AND route_id > ?3 ORDER BY route_id LIMIT ?2",
    "SELECT * FROM utterances WHERE tenant_id = ?1 AND (route_id, ordinal) > (?3, ?4)"
    " ORDER BY route_id, ordinal LIMIT ?2",
    "SELECT * FROM staged_vectors WHERE tenant_id = ?1 AND (route_id, ordinal) > (?3, ?4)"
    " ORDER BY route_id, ordinal LIMIT ?2",
    "SELECT * FROM route_images WHERE tenant_id = ?1 AND slot > ?3 ORDER BY slot LIMIT ?2",
    "SELECT * FROM executions WHERE tenant_id = ?1 AND (time_us, serial) > (?3, ?4)"
    " ORDER BY time_us, serial LIMIT ?2",
    "SELECT * FROM deletions WHERE tenant_id = ?1 AND (time_us, what) > (?3, ?4)"
    " ORDER BY time_us, what LIMIT ?2",
    "INSERT INTO tenants VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    "INSERT INTO routes VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    "INSERT INTO utterances VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "INSERT INTO staged_vectors VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "INSERT INTO route_images VALUES(?1, ?2, ?3)",
    "INSERT INTO executions VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    "INSERT INTO deletions VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    "SELECT state, shard FROM moves WHERE tenant_id = ?1",
    "INSERT OR REPLACE INTO moves VALUES(?1, ?2, ?3)"};

struct Mark {
  MoveState state{};
  std::int64_t shard = 0;
};

Result<std::optional<Mark>> mark_of(std::string_view tenant, Database& database) {
  Result<Statement> select = database.prepare(move_texts[select_move]);
  if (!select) return fail(select.error());
  select->bind(1, tenant);
  const Result<bool> row = select->step();
  if (!row) return fail(row.error());
  std::optional<Mark> mark;
  if (*row) mark = Mark{static_cast<MoveState>(select->integer(0)), select->integer(1)};
  return mark;
}

Status put_mark(std::string_view tenant, Database& database, MoveState state,
                std::uint32_t other_shard) {
  Result<Statement> put = database.prepare(move_texts[put_move]);
  if (!put) return fail(put.error());
  put->bind(1, tenant);
  put->bind(2, std::int64_t{other_shard});
  put->bind(3, static_cast<std::int64_t>(state));
  return put->run();
}

// Binds the row's columns as they are; returns about how many bytes it has.
std::size_t take_row(const Statement& row, std::string_view columns, Statement& insert) {
  std::size_t bytes = 0;
  for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
    bytes += 8;
    if (row.is_null(i)) continue;
    switch (columns[static_cast<std::size_t>(i)]) {
      case 't':
        insert.bind(i + 1, row.text(i));
        bytes += row.text(i).size();
        break;
      case 'b':
        insert.bind(i + 1, row.blob(i));
        bytes += row.blob(i).size();
        break;
      case 'r':
        insert.bind(i + 1, row.real(i));
        break;
      default:
        insert.bind(i + 1, row.integer(i));
    }
  }
  return bytes;
}

}  // namespace

std::span<const std::string_view> rows_move_statement_texts() noexcept { return move_texts; }

Status check_not_moving(const ExecutionContext& context, StoreFile& file) {
  const auto mark = mark_of(context.tenant().view(), file.database());
  if (!mark) return fail(mark.error());
  if (!*mark || (*mark)->state == MoveState::arrived) return {};
  if ((*mark)->state == MoveState::arriving) {
    return fail(ErrorCode::unavailable, "the tenant's rows are on their way to a shard of its own");
  }
  return fail(ErrorCode::store_degraded,
              "the tenant's rows have left for shard " + std::to_string((*mark)->shard) +
                  ", and the supervisor knows nothing of it",
              "restore its record in the state directory's own-shards");
}

RowsMove::RowsMove(const ExecutionContext& context, Place from, Place to)
    : tenant_(context.tenant()), context_(context), from_(std::move(from)), to_(std::move(to)) {}

Result<bool> RowsMove::step() {
  Status done;
  switch (stage_) {
    case Stage::look:
      done = look();
      break;
    case Stage::clear:
      done = clear();
      break;
    case Stage::copy:
      done = copy();
      break;
    case Stage::leave:
      done = leave();
      break;
    case Stage::done:
      break;
  }
  if (!done) return fail(done.error());
  return stage_ != Stage::done;
}

Status RowsMove::look() {
  const auto there = mark_of(tenant_.view(), to_.file->database());
  if (!there) return fail(there.error());
  if (*there && (*there)->state == MoveState::arrived) {
    stage_ = Stage::leave;
    return {};
  }
  stage_ = Stage::clear;
  return put_mark(tenant_.view(), to_.file->database(), MoveState::arriving, from_.shard);
}

Status RowsMove::clear() {
  const Result<bool> more = delete_tenant_rows(context_, *to_.file, step_rows);
  if (!more) return fail(more.error());
  if (!*more) stage_ = Stage::copy;
  return {};
}

Status RowsMove::copy() {
  Result<Transaction> transaction = Transaction::begin(to_.file->database());
  if (!transaction) return fail(transaction.error());
  bool complete = false;
  {  // statements end before the transaction does
    const MovedTable& table = moved_tables[table_];
    Result<Statement> rows =
        from_.file->database().prepare(move_texts[(any_ ? next_texts : first_texts) + table_]);
    if (!rows) return fail(rows.error());
    Result<Statement> insert = to_.file->database().prepare(move_texts[insert_texts + table_]);
    if (!insert) return fail(insert.error());
    rows->bind(1, tenant_.view());
    rows->bind(2, step_rows);
    const std::array<std::string, 2> after = texts_;  // what is bound is borrowed
    for (std::size_t i = 0; any_ && i < table.key; ++i) {
      const int parameter = static_cast<int>(i) + 3;
      if (table.columns[i + 1] == 't') {
        rows->bind(parameter, std::string_view(after[i]));
      } else {
        rows->bind(parameter, numbers_[i]);
      }
    }
    std::int64_t count = 0;
    for (std::size_t bytes = 0; bytes < step_bytes;) {
      const Result<bool> row = rows->step();
      if (!row) return fail(row.error());
      complete = !*row && count < step_rows;
      if (!*row) break;
      bytes += take_row(*rows, table.columns, *insert);
      if (Status status = insert->run(); !status) return status;
      for (std::size_t i = 0; i < table.key; ++i) {
        texts_[i] = rows->text(static_cast<int>(i) + 1);
        numbers_[i] = rows->integer(static_cast<int>(i) + 1);
      }
      any_ = true;
      ++count;
    }
  }
  if (complete) {
    any_ = false;
    if (++table_ == moved_tables.size()) {
      Status said = put_mark(tenant_.view(), to_.file->database(), MoveState::arrived, from_.shard);
      if (!said) return said;
      stage_ = Stage::leave;
    }
  }
  return transaction->commit();
}

Status RowsMove::leave() {
  if (!std::exchange(left_is_said_, true)) {
    return put_mark(tenant_.view(), from_.file->database(), MoveState::left, to_.shard);
  }
  const Result<bool> more = delete_tenant_rows(context_, *from_.file, step_rows);
  if (!more) return fail(more.error());
  if (!*more) stage_ = Stage::done;
  return {};
}

}  // namespace tenantd
