// Opening a database of routes: the lease, the file that must not be lost, the schema, the
// statements, and the guard against any other.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "worker/store/schema.h"
#include "worker/store/store_file.h"

namespace tenantd {
namespace {

// Above it reading every page at start costs too long: rows have checksums, and a page that SQLite
// finds damaged later degrades the store then.
constexpr std::uint64_t quick_check_limit_bytes = 32ULL * 1024 * 1024;

// Size in bytes; nothing if there is no file.
std::optional<std::uint64_t> file_size(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(status.st_size);
}

Status sync_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open the data directory", errno);
  const int result = ::fsync(fd);
  const int saved_errno = errno;
  ::close(fd);
  if (result != 0) return fail_errno("fsync the data directory", saved_errno);
  return {};
}

// The schema is there, in the database's own file and on the disk, before the lock file says so.
Status complete_database(const std::string& path, Database& database, const LockFile& lock) {
  if (lock.says_complete()) return {};
  const Result<std::int64_t> busy = database.query_integer("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!busy) return fail(busy.error());
  if (Status status = sync_directory_of(path); !status) return status;
  return lock.say_complete();
}

Result<Database> open_database(const std::string& path, const LockFile& lock) {
  const std::uint64_t size = file_size(path).value_or(0);
  const bool is_new = size == 0;
  if (is_new && (lock.says_complete() || file_size(path + "-wal").value_or(0) != 0)) {
    return fail(ErrorCode::store_degraded,
                "the database is corrupt: its file is empty or missing, and it was there before",
                "restore a backup; to begin anew, remove it with its lock file and its log");
  }
  Result<Database> database =
      Database::open(path, is_new ? Database::Mode::create : Database::Mode::open_existing);
  if (!database) return database;
  if (Status status = migrate(*database); !status) return fail(status.error());
  if (Status status = complete_database(path, *database, lock); !status) {
    return fail(status.error());
  }
  if (size > quick_check_limit_bytes) return database;
  Result<Statement> check = database->prepare("PRAGMA quick_check(1)");
  if (!check) return fail(check.error());
  const Result<bool> row = check->step();
  if (!row) return fail(row.error());
  if (*row && check->text(0) != "ok") {
    return fail(ErrorCode::store_degraded,
                "the database is corrupt: " + std::string(check->text(0)),
                "the file was left as it is; restore a backup");
  }
  check->done();
  return database;
}

constexpr std::array<std::string_view, 24> statement_texts{
    "INSERT INTO tenants(tenant_id, snapshot_version, route_count) VALUES(?1, 0, 0)"
    " ON CONFLICT DO NOTHING",
    "SELECT snapshot_version, route_count FROM tenants WHERE tenant_id = ?1",
    "UPDATE tenants SET snapshot_version = snapshot_version + 1, route_count = route_count + ?2,"
    " bytes = bytes + ?3 WHERE tenant_id = ?1 RETURNING snapshot_version, bytes",
    "SELECT route_id, description, metadata, tags, threshold, utterance_count, checksum,"
    " rules, priority, aggregation, version, margin FROM routes WHERE tenant_id = ?1 ORDER BY "
    "route_id",
    "SELECT utterance_count FROM routes WHERE tenant_id = ?1 AND route_id = ?2",
    "INSERT INTO routes VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    "UPDATE routes SET utterance_count = utterance_count + ?3, version = ?4"
    " WHERE tenant_id = ?1 AND route_id = ?2",
    "DELETE FROM routes WHERE tenant_id = ?1 AND route_id = ?2",
    "SELECT ordinal, text, encoder, embedding, checksum FROM utterances"
    " WHERE tenant_id = ?1 AND route_id = ?2 ORDER BY ordinal",
    "INSERT INTO utterances VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "DELETE FROM utterances WHERE tenant_id = ?1 AND route_id = ?2",
    "INSERT OR REPLACE INTO staged_vectors VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "SELECT route_id, count(*), max(ordinal) FROM staged_vectors WHERE tenant_id = ?1"
    " GROUP BY route_id",
    "DELETE FROM staged_vectors WHERE tenant_id = ?1 AND route_id = ?2",
    "DELETE FROM staged_vectors WHERE tenant_id = ?1 AND target <> ?2",
    "SELECT route_id, ordinal, encoder, embedding, checksum FROM staged_vectors"
    " WHERE tenant_id = ?1",
    "UPDATE utterances SET encoder = ?4, embedding = ?5, checksum = ?6"
    " WHERE tenant_id = ?1 AND route_id = ?2 AND ordinal = ?3",
    "DELETE FROM staged_vectors WHERE tenant_id = ?1",
    "UPDATE routes SET version = ?2 WHERE tenant_id = ?1",
    "SELECT slot, nonce FROM route_images WHERE tenant_id = ?1",
    "INSERT OR REPLACE INTO route_images VALUES(?1, ?2, ?3)",
    "SELECT route_id, utterance_count FROM routes WHERE tenant_id = ?1 AND route_id > ?2"
    " ORDER BY route_id LIMIT 64",
    "SELECT 64 + length(CAST(route_id AS BLOB)) + length(CAST(description AS BLOB))"
    " + length(CAST(metadata AS BLOB)) + length(CAST(tags AS BLOB)) + length(CAST(rules AS BLOB))"
    " + coalesce((SELECT sum(64 + length(CAST(text AS BLOB)) + length(CAST(encoder AS BLOB))"
    " + length(embedding)) FROM utterances WHERE tenant_id = ?1 AND route_id = ?2), 0)"
    " FROM routes WHERE tenant_id = ?1 AND route_id = ?2",
    "SELECT coalesce((SELECT sum(64 + length(CAST(route_id AS BLOB))"
    " + length(CAST(description AS BLOB)) + length(CAST(metadata AS BLOB))"
    " + length(CAST(tags AS BLOB)) + length(CAST(rules AS BLOB)))"
    " FROM routes WHERE tenant_id = ?1), 0)"
    " + coalesce((SELECT sum(64 + length(CAST(text AS BLOB)) + length(CAST(encoder AS BLOB))"
    " + length(embedding)) FROM utterances WHERE tenant_id = ?1), 0) - bytes"
    " FROM tenants WHERE tenant_id = ?1"};

constexpr std::array<std::string_view, 8> tables{"tenants",        "routes",       "utterances",
                                                 "staged_vectors", "route_images", "executions",
                                                 "deletions",      "moves"};
constexpr std::array<std::string_view, 5> functions{"coalesce", "count", "length", "max", "sum"};

// Of one statement for one row: about ten seconds. The longest there is sums up the utterances of
// one tenant, some twenty instructions each.
constexpr std::uint32_t most_steps = 10'000;

}  // namespace

std::span<const std::string_view> store_statement_texts() noexcept { return statement_texts; }

Result<std::unique_ptr<StoreStatements>> StoreStatements::prepare(Database& database) {
  std::array<std::optional<Statement>, statement_texts.size()> all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Result<Statement> statement = database.prepare(statement_texts[i]);
    if (!statement) return fail(statement.error());
    all[i].emplace(std::move(*statement));
  }
  const auto take = [&all](std::size_t i) { return std::move(*all[i]); };
  return std::unique_ptr<StoreStatements>(new StoreStatements{
      take(0),  take(1),  take(2),  take(3),  take(4),  take(5),  take(6),  take(7),
      take(8),  take(9),  take(10), take(11), take(12), take(13), take(14), take(15),
      take(16), take(17), take(18), take(19), take(20), take(21), take(22), take(23)});
}

void StoreStatements::end_all() noexcept {
  for (Statement* statement :
       {&insert_tenant,     &select_tenant,      &update_tenant,       &select_routes,
        &select_count,      &insert_route,       &update_count,        &delete_route,
        &select_utterances, &insert_utterance,   &delete_utterances,   &insert_staged,
        &count_staged,      &delete_staged,      &delete_other_staged, &select_staged,
        &update_utterance,  &clear_staged,       &update_versions,     &select_images,
        &replace_image,     &select_some_routes, &route_bytes,         &tenant_bytes}) {
    statement->done();
  }
}

StoreFile::StoreFile(LockFile lock, Database database, std::unique_ptr<StoreStatements> statements)
    : lock_(std::move(lock)), database_(std::move(database)), statements_(std::move(statements)) {}

Result<HistoryStatements*> StoreFile::history_statements() {
  if (history_ == nullptr) {
    auto prepared = HistoryStatements::prepare(database_);
    if (!prepared) return fail(prepared.error());
    history_ = std::move(*prepared);
  }
  return history_.get();
}

Result<std::shared_ptr<StoreFile>> StoreFile::open(const std::string& path) {
  Result<LockFile> lock = LockFile::acquire(path + ".lock");
  if (!lock) return fail(lock.error());
  Result<Database> database = open_database(path, *lock);
  if (!database) return fail(database.error());
  database->allow_only(tables, functions);
  database->limit_steps(most_steps);
  auto statements = StoreStatements::prepare(*database);
  if (!statements) return fail(statements.error());
  return std::shared_ptr<StoreFile>(
      new StoreFile(std::move(*lock), std::move(*database), std::move(*statements)));
}

}  // namespace tenantd
