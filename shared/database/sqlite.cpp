#include "shared/database/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tenantd {
namespace {

constexpr std::string_view corrupt_prefix = "the database is corrupt";

// In SQLite's unlink's place. The confined programs may not remove files, and SQLite takes an empty
// journal or log for none (unixAccess in os_unix.c).
int empty_file(const char* path) noexcept {
  const int fd = ::open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  return ::close(fd);
}

void keep_files() noexcept {
  sqlite3_vfs* const files = sqlite3_vfs_find("unix");
  if (files == nullptr) return;
  // The interface's type of any system call.
  (void)files->xSetSystemCall(files, "unlink", reinterpret_cast<sqlite3_syscall_ptr>(&empty_file));
}

tl::unexpected<Error> failure_of(sqlite3* connection, int code) {
  const std::string detail =
      connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(code);
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fail(ErrorCode::store_degraded, std::string(corrupt_prefix) + ": " + detail,
                  "the file was left as it is; restore a backup");
    case SQLITE_FULL:
      return fail(ErrorCode::store_degraded, "the database is full: " + detail,
                  "raise its limit (a tenant: limits.max_storage), free the disk, or remove what "
                  "is stored");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return fail(ErrorCode::store_degraded, "the database is read-only: " + detail);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      return fail(ErrorCode::store_degraded, "the database cannot be read or written: " + detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fail(ErrorCode::unavailable, "the database is in use by another process");
    case SQLITE_INTERRUPT:
      return fail(ErrorCode::resource_exhausted, "the database took too long for one statement");
    default:
      return fail(ErrorCode::internal, "database: " + detail);
  }
}

}  // namespace

bool is_corruption(const Error& error) noexcept {
  return error.code == ErrorCode::store_degraded && error.message.starts_with(corrupt_prefix);
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

void Statement::bind(int index, std::string_view text) noexcept {
  const char* data = text.data() != nullptr ? text.data() : "";
  const int code =
      sqlite3_bind_text64(statement_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::bind(int index, std::int64_t value) noexcept {
  const int code = sqlite3_bind_int64(statement_.get(), index, value);
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::bind(int index, double value) noexcept {
  const int code = sqlite3_bind_double(statement_.get(), index, value);
  if (code != SQLITE_OK) bind_error_ = code;
}

void Statement::bind(int index, std::span<const std::byte> blob) noexcept {
  // A null pointer would be NULL, but nothing is an empty blob.
  const void* const data = blob.empty() ? "" : static_cast<const void*>(blob.data());
  const int code = sqlite3_bind_blob64(statement_.get(), index, data, blob.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) bind_error_ = code;
}

Result<bool> Statement::step() {
  budget_->used = 0;
  const int code = bind_error_ != SQLITE_OK ? bind_error_ : sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    done();
    return false;
  }
  auto error = failure_of(connection_, code);
  done();
  return error;
}

Status Statement::run() {
  const Result<bool> row = step();
  if (!row) return fail(row.error());
  if (*row) {
    done();
    return fail(ErrorCode::internal, "database: a statement returned an unexpected row");
  }
  return {};
}

void Statement::done() noexcept {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
  bind_error_ = SQLITE_OK;
}

std::string_view Statement::text(int column) const noexcept {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::span<const std::byte> Statement::blob(int column) const noexcept {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  if (data == nullptr) return {};
  return {static_cast<const std::byte*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t Statement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::real(int column) const noexcept {
  return sqlite3_column_double(statement_.get(), column);
}

bool Statement::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Database::Close::operator()(sqlite3* connection) const noexcept {
  sqlite3_close_v2(connection);
}

Result<Database> Database::open(const std::string& path, Mode mode) {
  int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::create) flags |= SQLITE_OPEN_CREATE;
  // Pages are allocated when they are read, not twenty at once: most tenants' databases are idle.
  // Once the library is initialised the call is refused and the first one goes on holding.
  (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
  keep_files();
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  Database database(connection);
  if (code != SQLITE_OK) return failure_of(connection, code);
  if (sqlite3_db_readonly(connection, "main") == 1) {
    return fail(ErrorCode::store_degraded, "the database file is read-only");
  }
  if (Status status = database.lock_down(); !status) return fail(status.error());
  return database;
}

Status Database::lock_down() {
  constexpr std::array<std::pair<int, int>, 9> options{{{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                                        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                                        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
                                                        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
                                                        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                                        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                                        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
                                                        {SQLITE_DBCONFIG_DQS_DML, 0},
                                                        {SQLITE_DBCONFIG_DQS_DDL, 0}}};
  for (const auto& [option, value] : options) {
    int now = -1;
    const int code = sqlite3_db_config(connection_.get(), option, value, &now);
    if (code != SQLITE_OK || now != value) {
      return fail(ErrorCode::internal, "database: an option could not be set");
    }
  }
  // The pool of small allocations would be touched whole before the first statement.
  if (sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_LOOKASIDE, nullptr, 0, 0) != SQLITE_OK) {
    return fail(ErrorCode::internal, "database: an option could not be set");
  }
  sqlite3_limit(connection_.get(), SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(connection_.get(), SQLITE_LIMIT_LENGTH, 4 * 1024 * 1024);
  sqlite3_limit(connection_.get(), SQLITE_LIMIT_SQL_LENGTH, 16 * 1024);
  sqlite3_limit(connection_.get(), SQLITE_LIMIT_EXPR_DEPTH, 32);
  // Exclusive before the first access: the WAL's index is then private memory and no -shm file
  // exists.
  return execute(
      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
      "PRAGMA cell_size_check=ON; PRAGMA page_size=8192; PRAGMA journal_mode=WAL;"
      "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;");
}

Status Database::execute(const char* sql) {
  budget_->used = 0;
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure_of(connection_.get(), code);
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return failure_of(connection_.get(), code);
  return Statement(connection_.get(), statement, budget_.get());
}

void Database::limit_steps(std::uint32_t hundred_thousands) {
  budget_->most = hundred_thousands;
  const auto judge = [](void* budget) noexcept {
    auto& of = *static_cast<StepBudget*>(budget);
    return ++of.used > of.most ? 1 : 0;
  };
  sqlite3_progress_handler(connection_.get(), 100'000, judge, budget_.get());
}

struct Database::Allowance {
  std::span<const std::string_view> tables;
  std::span<const std::string_view> functions;
};

void Database::ForgetAllowance::operator()(Allowance* allowance) const noexcept {
  delete allowance;
}

void Database::allow_only(std::span<const std::string_view> tables,
                          std::span<const std::string_view> functions) {
  allowance_.reset(new Allowance{tables, functions});
  // The fifth argument, a view's or trigger's name, says nothing that could be trusted.
  const auto judge = [](void* allowance, int action, const char* first, const char* second,
                        const char*, const char*) noexcept {
    const auto& allowed = *static_cast<const Allowance*>(allowance);
    const auto names = [](std::span<const std::string_view> list, const char* name) {
      return name != nullptr && std::find(list.begin(), list.end(), name) != list.end();
    };
    switch (action) {
      case SQLITE_SELECT:
      case SQLITE_TRANSACTION:
        return SQLITE_OK;
      case SQLITE_READ:
      case SQLITE_INSERT:
      case SQLITE_UPDATE:
      case SQLITE_DELETE:
        return names(allowed.tables, first) ? SQLITE_OK : SQLITE_DENY;
      case SQLITE_FUNCTION:
        return names(allowed.functions, second) ? SQLITE_OK : SQLITE_DENY;
      case SQLITE_PRAGMA: {
        constexpr std::array<std::string_view, 2> size{"page_size", "max_page_count"};
        return names(size, first) ? SQLITE_OK : SQLITE_DENY;
      }
      default:
        return SQLITE_DENY;
    }
  };
  (void)sqlite3_set_authorizer(connection_.get(), judge, allowance_.get());
}

Result<std::int64_t> Database::query_integer(std::string_view sql) {
  Result<Statement> statement = prepare(sql);
  if (!statement) return fail(statement.error());
  const Result<bool> row = statement->step();
  if (!row) return fail(row.error());
  if (!*row) return fail(ErrorCode::internal, "database: a query gave no row");
  return statement->integer(0);
}

Status Database::limit_size(std::uint64_t bytes) {
  const Result<std::int64_t> page_size = query_integer("PRAGMA page_size");
  if (!page_size) return fail(page_size.error());
  constexpr std::uint64_t most = 0xFFFFFFFE;
  std::uint64_t pages = most;
  if (bytes != 0) pages = std::min(most, bytes / static_cast<std::uint64_t>(*page_size));
  const std::string sql =
      "PRAGMA max_page_count=" + std::to_string(std::max<std::uint64_t>(pages, 1));
  const Result<std::int64_t> set = query_integer(sql);
  if (!set) return fail(set.error());
  return {};
}

std::int64_t Database::changes() const noexcept { return sqlite3_changes64(connection_.get()); }

Result<Transaction> Transaction::begin(Database& database) {
  if (Status status = database.execute("BEGIN IMMEDIATE"); !status) return fail(status.error());
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite has rolled back by itself after some errors: then this one fails, harmlessly.
  if (database_ != nullptr) (void)database_->execute("ROLLBACK");
}

Status Transaction::commit() {
  if (Status status = database_->execute("COMMIT"); !status) return status;
  database_ = nullptr;
  return {};
}

}  // namespace tenantd
