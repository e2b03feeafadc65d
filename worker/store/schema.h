// The tables of a tenant's database and how older ones are brought up to date.
//
// Runs in: worker, before the first query. Every key and index begins with tenant_id, so that the
// same tables hold many tenants in a pooled worker's shard.
#pragma once

#include <cstdint>

#include "shared/base/error.h"
#include "shared/database/sqlite.h"

namespace tenantd {

// Of this program: PRAGMA user_version. Raised by every migration.
inline constexpr std::int64_t schema_version = 8;
// PRAGMA application_id: "tntd".
inline constexpr std::int64_t schema_application_id = 0x746E7464;

// Refuses a schema in which a tenant's rows could be told apart from another's by less than the
// tenant: each table is STRICT and WITHOUT ROWID, its primary key and each index begin with
// tenant_id, each foreign key carries it along, and there are no views and no triggers. Errors:
// internal, naming the table or index; store_degraded. Blocking.
[[nodiscard]] Status lint_schema(Database& database);

// Blocking. Runs the missing migrations, all in one transaction. Errors: store_degraded (another
// program's database, corrupt, full), unsupported (the schema is newer than this program).
[[nodiscard]] Status migrate(Database& database);

}  // namespace tenantd
