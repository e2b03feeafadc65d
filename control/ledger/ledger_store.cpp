#include "control/ledger/ledger_store.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tenantd {
namespace {

constexpr std::int64_t application_id = 0x746E746C;  // "tntl"

// One string a version. Append only.
constexpr std::array<const char*, LedgerStore::schema_version> migrations = {
    "CREATE TABLE events ("
    "  sequence INTEGER PRIMARY KEY,"
    "  time_ms INTEGER NOT NULL,"
    "  event TEXT NOT NULL,"
    "  tenant_id TEXT NOT NULL,"  // empty: about the daemon
    "  pid INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL,"
    "  detail TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX events_of_tenant ON events (tenant_id, sequence);",
};

enum Query : std::size_t {
  insert_event,
  newest,
  newest_of_tenant,
  after,
  after_of_tenant,
  newest_verifications,
  trim_all,
  trim_tenant,
  next_with_old,
  span_of_old,
  delete_old,
};

#define EVENT_COLUMNS "sequence, time_ms, event, tenant_id, pid, generation, detail"
constexpr std::array<std::string_view, 11> queries = {
    "INSERT INTO events (" EVENT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "SELECT " EVENT_COLUMNS " FROM events ORDER BY sequence DESC LIMIT ?1",
    "SELECT " EVENT_COLUMNS " FROM events WHERE tenant_id = ?2 ORDER BY sequence DESC LIMIT ?1",
    "SELECT " EVENT_COLUMNS " FROM events WHERE sequence > ?3 ORDER BY sequence LIMIT ?1",
    "SELECT " EVENT_COLUMNS
    " FROM events WHERE tenant_id = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?1",
    "SELECT " EVENT_COLUMNS
    " FROM events WHERE tenant_id = ?2"
    " AND event IN ('isolation_verified', 'isolation_violated') ORDER BY sequence DESC LIMIT ?1",
    "DELETE FROM events WHERE sequence <= ?1",
    "DELETE FROM events WHERE tenant_id = ?1 AND sequence <= (SELECT sequence FROM events"
    "  WHERE tenant_id = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
    "SELECT tenant_id FROM events WHERE tenant_id > ?1 AND time_ms < ?2"
    " ORDER BY tenant_id LIMIT 1",
    "SELECT count(*), min(time_ms), max(time_ms) FROM events"
    " WHERE tenant_id = ?1 AND time_ms < ?2",
    "DELETE FROM events WHERE tenant_id = ?1 AND time_ms < ?2",
};
#undef EVENT_COLUMNS

// Rows over a tenant's bound before they are trimmed: a deletion costs a walk over the index.
constexpr std::uint64_t trim_slack = 256;

Status migrate(Database& database) {
  const auto version = database.query_integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  const auto owner = database.query_integer("PRAGMA application_id");
  if (!owner) return fail(owner.error());
  const bool fresh = *version == 0 && *owner == 0;
  if (!fresh && *owner != application_id) {
    return fail(ErrorCode::store_degraded, "the ledger file belongs to another program");
  }
  if (*version > LedgerStore::schema_version || *version < 0) {
    return fail(ErrorCode::store_degraded, "the ledger was written by a newer version (schema " +
                                               std::to_string(*version) + ")");
  }
  for (std::int64_t next = *version; next < LedgerStore::schema_version; ++next) {
    auto transaction = Transaction::begin(database);
    if (!transaction) return fail(transaction.error());
    const std::string stamp = "PRAGMA application_id = " + std::to_string(application_id) +
                              "; PRAGMA user_version = " + std::to_string(next + 1) + ";";
    for (const char* sql : {migrations[static_cast<std::size_t>(next)], stamp.c_str()}) {
      if (Status status = database.execute(sql); !status) return status;
    }
    if (Status status = transaction->commit(); !status) return status;
  }
  return {};
}

std::int64_t stored(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }

EventInfo event_of(const Statement& row) {
  EventInfo event;
  event.sequence = static_cast<std::uint64_t>(row.integer(0));
  event.time_ms = row.integer(1);
  event.event = row.text(2).substr(0, 64);
  event.tenant = row.text(3).substr(0, 63);
  event.pid = static_cast<std::int32_t>(row.integer(4));
  event.generation = static_cast<std::uint64_t>(row.integer(5));
  event.detail = row.text(6).substr(0, 256);
  return event;
}

// Of a statement that is bound and not begun.
Result<std::vector<EventInfo>> all_events(Statement& rows) {
  std::vector<EventInfo> out;
  for (;;) {
    const auto row = rows.step();
    if (!row) return fail(row.error());
    if (!*row) return out;
    out.push_back(event_of(rows));
  }
}

}  // namespace

Result<LedgerStore> LedgerStore::open(const std::string& path, LedgerLimits limits) {
  auto database = Database::open(path, Database::Mode::create);
  if (!database) return fail(database.error());
  // Events are a record, not money: a power cut may cost the last ones, a crash of ours may not.
  if (Status status = database->execute("PRAGMA synchronous=NORMAL"); !status) {
    return fail(status.error());
  }
  if (Status status = migrate(*database); !status) return fail(status.error());
  LedgerStore store(std::move(*database), limits);
  if (Status status = store.prepare(); !status) return fail(status.error());
  return store;
}

Status LedgerStore::prepare() {
  for (const std::string_view sql : queries) {
    auto statement = database_.prepare(sql);
    if (!statement) return fail(statement.error());
    statements_.push_back(std::move(*statement));
  }
  const auto last = database_.query_integer("SELECT ifnull(max(sequence), 0) FROM events");
  if (!last) return fail(last.error());
  last_sequence_ = static_cast<std::uint64_t>(*last);
  auto counts = database_.prepare("SELECT tenant_id, count(*) FROM events GROUP BY tenant_id");
  if (!counts) return fail(counts.error());
  for (;;) {
    const auto row = counts->step();
    if (!row) return fail(row.error());
    if (!*row) return {};
    rows_of_tenant_[std::string(counts->text(0))] = static_cast<std::uint64_t>(counts->integer(1));
  }
}

Status LedgerStore::insert(std::span<const EventInfo> events) {
  auto transaction = Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  Statement& insert = statements_[insert_event];
  for (const EventInfo& event : events) {
    insert.bind(1, stored(event.sequence));
    insert.bind(2, event.time_ms);
    insert.bind(3, std::string_view(event.event));
    insert.bind(4, std::string_view(event.tenant));
    insert.bind(5, std::int64_t{event.pid});
    insert.bind(6, stored(event.generation));
    insert.bind(7, std::string_view(event.detail));
    if (Status status = insert.run(); !status) return status;
  }
  if (Status status = trim(events); !status) return status;
  if (Status status = transaction->commit(); !status) return status;
  if (!events.empty()) last_sequence_ = events.back().sequence;
  return {};
}

Status LedgerStore::trim(std::span<const EventInfo> added) {
  if (!added.empty() && added.back().sequence > limits_.max_rows) {
    Statement& all = statements_[trim_all];
    all.bind(1, stored(added.back().sequence - limits_.max_rows));
    if (Status status = all.run(); !status) return status;
  }
  for (const EventInfo& event : added) {
    std::uint64_t& rows = rows_of_tenant_[event.tenant];
    if (++rows <= limits_.max_rows_of_tenant + trim_slack) continue;
    Statement& tenant = statements_[trim_tenant];
    tenant.bind(1, std::string_view(event.tenant));
    tenant.bind(2, stored(limits_.max_rows_of_tenant));
    if (Status status = tenant.run(); !status) return status;
    rows = limits_.max_rows_of_tenant;
  }
  return {};
}

Result<std::vector<EventInfo>> LedgerStore::read(std::string_view tenant, std::uint32_t limit,
                                                 std::uint64_t after_sequence) {
  const bool one = !tenant.empty();
  const bool follows = after_sequence != 0;
  Statement& rows =
      statements_[follows ? (one ? after_of_tenant : after) : (one ? newest_of_tenant : newest)];
  rows.bind(1, std::int64_t{limit});
  if (one) rows.bind(2, tenant);
  if (follows) rows.bind(3, stored(std::min<std::uint64_t>(after_sequence, INT64_MAX)));
  auto out = all_events(rows);
  if (out && !follows) std::reverse(out->begin(), out->end());
  return out;
}

Result<std::vector<EventInfo>> LedgerStore::verifications(std::string_view tenant,
                                                          std::uint32_t limit) {
  Statement& rows = statements_[newest_verifications];
  rows.bind(1, std::int64_t{limit});
  rows.bind(2, tenant);
  auto out = all_events(rows);
  if (out) std::reverse(out->begin(), out->end());
  return out;
}

Result<std::string> LedgerStore::next_tenant(std::string_view behind, std::int64_t before_ms) {
  Statement& select = statements_[next_with_old];
  select.bind(1, behind);
  select.bind(2, before_ms);
  const auto row = select.step();
  if (!row) return fail(row.error());
  std::string tenant(*row ? select.text(0) : std::string_view());
  select.done();
  return tenant;
}

Result<LedgerStore::Deleted> LedgerStore::delete_older(std::string_view tenant,
                                                       std::int64_t before_ms) {
  Statement& span = statements_[span_of_old];
  span.bind(1, tenant);
  span.bind(2, before_ms);
  const auto row = span.step();
  if (!row) return fail(row.error());
  Deleted deleted{static_cast<std::uint64_t>(span.integer(0)), span.integer(1), span.integer(2)};
  span.done();
  if (deleted.count == 0) return deleted;
  Statement& remove = statements_[delete_old];
  remove.bind(1, tenant);
  remove.bind(2, before_ms);
  if (Status status = remove.run(); !status) return fail(status.error());
  rows_of_tenant_[std::string(tenant)] -= deleted.count;
  return deleted;
}

}  // namespace tenantd
