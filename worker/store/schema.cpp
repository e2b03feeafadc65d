#include "worker/store/schema.h"

#include <array>
#include <string>

namespace tenantd {
namespace {

// migrations[n] leads from version n to n + 1. Append only.
constexpr std::array<const char*, schema_version> migrations{
    // An embedding is little-endian float32 as the client sent it; its length is 4 · dimension. A
    // checksum
    // covers what its row holds: SQLite itself would not notice a flipped bit inside a value.
    R"sql(
CREATE TABLE tenants(
  tenant_id TEXT NOT NULL PRIMARY KEY,
  snapshot_version INTEGER NOT NULL,
  route_count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE routes(
  tenant_id TEXT NOT NULL REFERENCES tenants(tenant_id),
  route_id TEXT NOT NULL,
  description TEXT NOT NULL,
  metadata TEXT NOT NULL,
  tags TEXT NOT NULL,
  threshold REAL,
  utterance_count INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY(tenant_id, route_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE utterances(
  tenant_id TEXT NOT NULL,
  route_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  text TEXT NOT NULL,
  encoder TEXT NOT NULL,
  embedding BLOB NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY(tenant_id, route_id, ordinal),
  FOREIGN KEY(tenant_id, route_id) REFERENCES routes(tenant_id, route_id)
) STRICT, WITHOUT ROWID;
)sql",
    // Vectors of the encoder that a tenant changes to, until all its utterances have one. The
    // checksum is what the utterance's will be then.
    R"sql(
CREATE TABLE staged_vectors(
  tenant_id TEXT NOT NULL,
  route_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  target TEXT NOT NULL,
  encoder TEXT NOT NULL,
  embedding BLOB NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY(tenant_id, route_id, ordinal)
) STRICT, WITHOUT ROWID;
)sql",
    // Of a route: its rules (rows.h), its place among equals, its own aggregation.
    R"sql(
ALTER TABLE routes ADD COLUMN rules TEXT NOT NULL DEFAULT '';
ALTER TABLE routes ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE routes ADD COLUMN aggregation INTEGER;
)sql",
    // The snapshot version that an edit last changed the route in, and which files beside the
    // database hold routes as they were in this history of it (image_keeper.h).
    R"sql(
ALTER TABLE routes ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
CREATE TABLE route_images(
  tenant_id TEXT NOT NULL,
  slot INTEGER NOT NULL,
  nonce INTEGER NOT NULL,
  PRIMARY KEY(tenant_id, slot)
) STRICT, WITHOUT ROWID;
)sql",
    // Of a route: the lead in confidence that it needs to answer.
    R"sql(
ALTER TABLE routes ADD COLUMN margin REAL;
)sql",
    // What a tenant stores, for its bound where it shares the file: a row counts 64 bytes beside
    // its texts and its vector.
    R"sql(
ALTER TABLE tenants ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE tenants SET bytes =
  coalesce((SELECT sum(64 + length(CAST(route_id AS BLOB)) + length(CAST(description AS BLOB))
    + length(CAST(metadata AS BLOB)) + length(CAST(tags AS BLOB)) + length(CAST(rules AS BLOB)))
    FROM routes WHERE routes.tenant_id = tenants.tenant_id), 0)
  + coalesce((SELECT sum(64 + length(CAST(text AS BLOB)) + length(CAST(encoder AS BLOB))
    + length(embedding)) FROM utterances WHERE utterances.tenant_id = tenants.tenant_id), 0);
)sql",
    // What was routed, and what was deleted of it. Of a tenant: how many executions it has, how
    // many it ever had, and how long and how many it keeps, for who looks while it sleeps. Times
    // are microseconds of UTC.
    R"sql(
ALTER TABLE tenants ADD COLUMN executions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN executed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN retention_days INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN max_executions INTEGER NOT NULL DEFAULT 0;
CREATE TABLE executions(
  tenant_id TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  serial INTEGER NOT NULL,
  request_id INTEGER NOT NULL,
  route TEXT NOT NULL,
  confidence REAL NOT NULL,
  latency_us INTEGER NOT NULL,
  user TEXT NOT NULL,
  outcome INTEGER NOT NULL,
  PRIMARY KEY(tenant_id, time_us, serial)
) STRICT, WITHOUT ROWID;
CREATE TABLE deletions(
  tenant_id TEXT NOT NULL,
  time_us INTEGER NOT NULL,
  what TEXT NOT NULL,
  count INTEGER NOT NULL,
  oldest_us INTEGER NOT NULL,
  newest_us INTEGER NOT NULL,
  PRIMARY KEY(tenant_id, time_us, what)
) STRICT, WITHOUT ROWID;
)sql",
    // Tenants whose rows go from one database to another (rows_move.h): in the one how far they
    // are, in the other that they left. The shard is the other one's.
    R"sql(
CREATE TABLE moves(
  tenant_id TEXT NOT NULL PRIMARY KEY,
  shard INTEGER NOT NULL,
  state INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql"};

// In one transaction, because each costs a wait for the disk: a tenant's first start runs them all.
Status run_migrations(Database& database, std::int64_t from) {
  Result<Transaction> transaction = Transaction::begin(database);
  if (!transaction) return fail(transaction.error());
  for (; from < schema_version; ++from) {
    Status status = database.execute(migrations[static_cast<std::size_t>(from)]);
    if (!status) return status;
  }
  const std::string marks = "PRAGMA user_version=" + std::to_string(schema_version) +
                            "; PRAGMA application_id=" + std::to_string(schema_application_id);
  if (Status status = database.execute(marks.c_str()); !status) return status;
  if (Status status = lint_schema(database); !status) return status;
  return transaction->commit();
}

}  // namespace

Status migrate(Database& database) {
  const Result<std::int64_t> version = database.query_integer("PRAGMA user_version");
  if (!version) return fail(version.error());
  const Result<std::int64_t> application = database.query_integer("PRAGMA application_id");
  if (!application) return fail(application.error());
  const bool is_new = *version == 0 && *application == 0;
  if (!is_new && *application != schema_application_id) {
    return fail(ErrorCode::store_degraded, "the database belongs to another program");
  }
  if (*version > schema_version || *version < 0) {
    return fail(ErrorCode::unsupported,
                "the database has schema version " + std::to_string(*version) +
                    ", this program knows up to " + std::to_string(schema_version),
                "run the release that wrote it, or a later one");
  }
  return *version < schema_version ? run_migrations(database, *version) : Status{};
}

}  // namespace tenantd
