// Moves tenants' rows between shards of a pooled worker while it serves the others: one tenant
// after the other, in short jobs between which edits go.
//
// Runs in: worker, loop thread; the jobs run on the editor thread. The supervisor orders it and
// hears of the end; until then nobody opens the tenant here.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "shared/contract/link.h"
#include "shared/contract/shards.h"
#include "worker/runtime/edit_thread.h"
#include "worker/runtime/execution_context.h"
#include "worker/store/rows_move.h"

namespace tenantd {

class RowsMover {
 public:
  // Editor thread: opens a shard of this worker, or makes it.
  using OpenShard = std::function<Result<std::shared_ptr<StoreFile>>(std::uint32_t shard)>;
  using OnEnd = std::function<void(const MoveRows& order, const Status& status)>;

  // `edits` outlives it, and it the jobs. `on_end`: also from begin(). `on_stopped`: the last job
  // has ended, with work left.
  RowsMover(EditThread& edits, OpenShard open_shard, OnEnd on_end,
            std::function<void()> on_stopped);

  // Both shards are this worker's. One that is under way already is not begun again.
  void begin(const TenantId& tenant, const MoveRows& order);
  // It cannot be begun now.
  void refuse(const MoveRows& order, const Status& why) { on_end_(order, why); }
  // May begin with the next one; until this is called after a pause nothing happens.
  void go();
  // No further job; the one on its way ends.
  void stop() noexcept { stopping_ = true; }
  // It waits for its turn or is on its way.
  [[nodiscard]] bool has(const TenantId& tenant) const;
  [[nodiscard]] bool busy() const noexcept { return !orders_.empty(); }

 private:
  struct Order {
    Order(const TenantId& id, const MoveRows& order) : tenant(id), message(order) {}
    TenantBinding tenant;
    MoveRows message;
  };
  void submit();
  [[nodiscard]] Result<bool> step(const Order& order);
  void end(const Status& status);

  EditThread& edits_;
  OpenShard open_shard_;
  OnEnd on_end_;
  std::function<void()> on_stopped_;
  std::deque<Order> orders_;  // the first is under way
  bool running_ = false;
  bool stopping_ = false;
  std::optional<RowsMove> move_;  // editor thread's
};

}  // namespace tenantd
