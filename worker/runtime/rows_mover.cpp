#include "worker/runtime/rows_mover.h"

#include <algorithm>
#include <utility>

namespace tenantd {

RowsMover::RowsMover(EditThread& edits, OpenShard open_shard, OnEnd on_end,
                     std::function<void()> on_stopped)
    : edits_(edits),
      open_shard_(std::move(open_shard)),
      on_end_(std::move(on_end)),
      on_stopped_(std::move(on_stopped)) {}

bool RowsMover::has(const TenantId& tenant) const {
  return std::any_of(orders_.begin(), orders_.end(),
                     [&](const Order& order) { return order.tenant.context().tenant() == tenant; });
}

void RowsMover::begin(const TenantId& tenant, const MoveRows& order) {
  if (has(tenant)) return;
  if (orders_.size() >= max_own_shards) {
    return on_end_(order, fail(ErrorCode::resource_exhausted, "too many tenants move at once"));
  }
  orders_.emplace_back(tenant, order);
}

void RowsMover::go() {
  if (!orders_.empty() && !stopping_ && !std::exchange(running_, true)) submit();
}

void RowsMover::submit() {
  const Status submitted =
      edits_.submit(this, [this, &order = orders_.front()]() -> EditThread::Completion {
        Result<bool> more = step(order);
        return [this, more = std::move(more)] {
          if (more && *more && !stopping_) return submit();
          running_ = false;
          if (more && *more) return on_stopped_();  // the next worker goes on
          end(more ? Status{} : Status(tl::unexpected(more.error())));
        };
      });
  if (submitted) return;
  running_ = false;
  end(tl::unexpected(submitted.error()));
}

void RowsMover::end(const Status& status) {
  const MoveRows order = orders_.front().message;
  orders_.pop_front();
  on_end_(order, status);
  go();
}

// Editor thread.
Result<bool> RowsMover::step(const Order& order) {
  if (!move_) {
    auto from = open_shard_(order.message.from);
    if (!from) return tl::unexpected(from.error());
    auto to = open_shard_(order.message.to);
    if (!to) return tl::unexpected(to.error());
    move_.emplace(order.tenant.context(), RowsMove::Place{std::move(*from), order.message.from},
                  RowsMove::Place{std::move(*to), order.message.to});
  }
  Result<bool> more = move_->step();
  if (!more || !*more) move_.reset();
  return more;
}

}  // namespace tenantd
