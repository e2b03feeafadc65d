// All rows of one tenant in a database that many share, table by table: deleted.
//
// Runs in: worker, editor thread. Every call blocks on the disk and is one transaction. It prepares
// statements of its own: nobody needs them but who clears a tenant away.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "shared/base/error.h"
#include "worker/runtime/execution_context.h"
#include "worker/store/store_file.h"

namespace tenantd {

inline constexpr std::int64_t all_tenant_rows = std::numeric_limits<std::int64_t>::max();

// Deletes at most `most_rows` (≥ 1) of the tenant's rows, durable when it returns; its own row goes
// last, and what rows_move.h says of it stays. True: there may be more. The tenant must be open
// nowhere. Errors: store_degraded.
[[nodiscard]] Result<bool> delete_tenant_rows(const ExecutionContext& context, StoreFile& file,
                                              std::int64_t most_rows = all_tenant_rows);

// Their texts, for the tests that look at what SQLite makes of them.
[[nodiscard]] std::span<const std::string_view> tenant_rows_statement_texts() noexcept;

}  // namespace tenantd
