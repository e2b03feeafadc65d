// SQLite under RAII: a locked-down connection, cached statements, transactions.
//
// Runs in: programs that keep a database of their own; one thread at a time. The file's bytes are
// hostile: defensive mode, no trusted schema, no extensions, no attached databases, no views or
// triggers. https://www.sqlite.org/security.html
//
// Never removes a file: what SQLite would unlink is emptied, because a confined program's files are
// made for it and are all that it may have. An empty database file is a new one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tenantd {

class Database;

// How long a statement may run for one row, or to its end where it has none, in hundreds of
// thousands of SQLite's virtual machine instructions.
struct StepBudget {
  std::uint32_t most = 0;  // 0: no bound
  std::uint32_t used = 0;
};

// A prepared statement that is reset and unbound when its use ends.
class Statement {
 public:
  Statement(Statement&&) noexcept = default;
  Statement& operator=(Statement&&) noexcept = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() = default;

  // Parameters count from 1. Bound memory is borrowed until done().
  void bind(int index, std::string_view text) noexcept;
  void bind(int index, std::int64_t value) noexcept;
  void bind(int index, double value) noexcept;
  void bind(int index, std::span<const std::byte> blob) noexcept;

  // True: a row is there. False: finished. After false or an error the statement is reset.
  [[nodiscard]] Result<bool> step();
  // For statements without rows.
  [[nodiscard]] Status run();
  // Ends an unfinished use.
  void done() noexcept;

  // Columns count from 0; views are valid until the next step() or done().
  [[nodiscard]] std::string_view text(int column) const noexcept;
  [[nodiscard]] std::span<const std::byte> blob(int column) const noexcept;
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] double real(int column) const noexcept;
  [[nodiscard]] bool is_null(int column) const noexcept;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  Statement(sqlite3* connection, sqlite3_stmt* statement, StepBudget* budget) noexcept
      : connection_(connection), budget_(budget), statement_(statement) {}

  sqlite3* connection_;
  StepBudget* budget_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bind_error_ = 0;
};

class Database {
 public:
  enum class Mode : std::uint8_t { open_existing, create };

  // Blocking. `path` must not be a symbolic link. Errors: store_degraded (not a database,
  // unreadable, corrupt), unavailable (another process holds it). Never writes to an existing file
  // that it refuses.
  [[nodiscard]] static Result<Database> open(const std::string& path, Mode mode);

  // Statements without parameters and rows, from this program's own text only.
  [[nodiscard]] Status execute(const char* sql);
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  // From now on a statement that is prepared (again) may only read and change rows of these tables,
  // with these functions, begin and end transactions, and set the page cap: an assertion about this
  // program's own texts. What it refuses is an error of prepare() and execute(). The spans live as
  // long as the connection.
  void allow_only(std::span<const std::string_view> tables,
                  std::span<const std::string_view> functions);
  // The first column of the first row; invalid SQL or no row is an error.
  [[nodiscard]] Result<std::int64_t> query_integer(std::string_view sql);
  // Page cap: 0 lifts it. A file that is larger already keeps its size and grows no more.
  [[nodiscard]] Status limit_size(std::uint64_t bytes);
  // From now on a statement that takes more is interrupted: resource_exhausted. A hundred thousand
  // instructions take about a millisecond (https://sqlite.org/c3ref/progress_handler.html).
  void limit_steps(std::uint32_t hundred_thousands);
  // Rows changed by the last statement.
  [[nodiscard]] std::int64_t changes() const noexcept;

 private:
  struct Close {
    void operator()(sqlite3* connection) const noexcept;
  };
  struct Allowance;
  struct ForgetAllowance {
    void operator()(Allowance* allowance) const noexcept;
  };
  explicit Database(sqlite3* connection)
      : budget_(std::make_unique<StepBudget>()), connection_(connection) {}
  [[nodiscard]] Status lock_down();

  // Both are used until the connection has ended.
  std::unique_ptr<Allowance, ForgetAllowance> allowance_;
  std::unique_ptr<StepBudget> budget_;
  std::unique_ptr<sqlite3, Close> connection_;
};

// Rolls back unless committed. BEGIN IMMEDIATE: a write lock from the start.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  // Durable when it returns without error (synchronous = FULL).
  [[nodiscard]] Status commit();

 private:
  explicit Transaction(Database& database) noexcept : database_(&database) {}
  Database* database_;  // null: ended
};

// Whether the error says that the file's content can no longer be trusted.
[[nodiscard]] bool is_corruption(const Error& error) noexcept;

}  // namespace tenantd
