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
inline constexpr std::int64_t schema_version = 5;
// PRAGMA application_id: "tntd".
inline constexpr std::int64_t schema_application_id = 0x746E7464;

// Blocking. Runs the missing migrations, each in a transaction. Errors: store_degraded (another
// program's database, corrupt, full), unsupported (the schema is newer than this program).
[[nodiscard]] Status migrate(Database& database);

}  // namespace tenantd
