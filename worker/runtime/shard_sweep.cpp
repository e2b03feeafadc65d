#include "worker/runtime/shard_sweep.h"

#include <utility>

#include "worker/runtime/execution_context.h"
#include "worker/store/history_store.h"

namespace tenantd {

ShardSweep::ShardSweep(EditThread& edits, OpenShard open_shard, std::uint32_t shard_count,
                       std::function<void()> on_job_done)
    : edits_(edits),
      open_shard_(std::move(open_shard)),
      shard_count_(shard_count),
      on_job_done_(std::move(on_job_done)) {}

void ShardSweep::run(std::int64_t now_us) {
  if (!std::exchange(running_, true)) submit(now_us);
}

void ShardSweep::submit(std::int64_t now_us) {
  const Status submitted = edits_.submit(this, [this, now_us]() -> EditThread::Completion {
    const bool more = step(now_us);
    return [this, now_us, more] {
      if (more && !stopping_) {
        submit(now_us);
      } else {
        running_ = false;
      }
      on_job_done_();
    };
  });
  if (!submitted) running_ = false;
}

bool ShardSweep::step(std::int64_t now_us) {
  if (file_ == nullptr) {
    if (shard_ == shard_count_) {
      shard_ = 0;
      return false;
    }
    file_ = open_shard_(shard_++);
    tenant_.clear();
    tenant_is_done_ = true;
    return true;
  }
  if (tenant_is_done_) {
    auto next = next_tenant_with_history(*file_, tenant_);
    tenant_ = next ? std::move(*next) : std::string();
  }
  if (tenant_.empty()) {  // there is no more
    file_.reset();
    return true;
  }
  const auto id = TenantId::parse(tenant_);
  tenant_is_done_ = true;
  if (!id) return true;  // nobody can have it
  const TenantBinding tenant(*id);
  HistoryStore history(*id, file_);
  // What the tenant's settings said when it last was here.
  const auto kept = history.summary(tenant.context(), 0);
  const auto more = kept ? history.delete_some(tenant.context(), kept->bounds, now_us, now_us)
                         : Result<bool>(false);
  tenant_is_done_ = !more || !*more;
  return true;
}

}  // namespace tenantd
