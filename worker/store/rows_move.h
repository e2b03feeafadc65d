// A tenant's rows go from one shard to another, in steps between which other tenants' edits go.
//
// Runs in: worker, editor thread; has the lease of both files. Each step is durable, and a move
// that ended anywhere is begun again: what has arrived in part is deleted and copied anew, and
// nothing leaves before all has arrived. Of the three commits that count, the first says in the new
// file that rows arrive, the second that they have arrived, the third in the old file that they
// left; until the second the old rows are the tenant's, from then on the new ones.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "worker/runtime/execution_context.h"
#include "worker/store/store_file.h"

namespace tenantd {

class RowsMove {
 public:
  // Bounds of a step, beside one row.
  static constexpr std::int64_t step_rows = 512;
  static constexpr std::size_t step_bytes = 1U << 20U;

  struct Place {
    std::shared_ptr<StoreFile> file;
    std::uint32_t shard = 0;
  };

  // The tenant must be open nowhere, and nobody else may change its rows until the end.
  RowsMove(const ExecutionContext& context, Place from, Place to);

  // Blocking. True: there is more to do. Errors: store_degraded, resource_exhausted; a later move
  // may come further.
  [[nodiscard]] Result<bool> step();

 private:
  enum class Stage : std::uint8_t { look, clear, copy, leave, done };
  [[nodiscard]] Status look();
  [[nodiscard]] Status clear();
  [[nodiscard]] Status copy();
  [[nodiscard]] Status leave();

  TenantId tenant_;
  const ExecutionContext& context_;
  Place from_;
  Place to_;
  Stage stage_ = Stage::look;
  bool left_is_said_ = false;
  std::size_t table_ = 0;
  // The last row that was copied of the table: its key, behind the tenant.
  bool any_ = false;
  std::array<std::string, 2> texts_;
  std::array<std::int64_t, 2> numbers_{};
};

// The tenant may be opened in this file. Errors: unavailable (its rows are still arriving),
// store_degraded (they have left).
[[nodiscard]] Status check_not_moving(const ExecutionContext& context, StoreFile& file);

// Their texts, for the tests that look at what SQLite makes of them.
[[nodiscard]] std::span<const std::string_view> rows_move_statement_texts() noexcept;

}  // namespace tenantd
