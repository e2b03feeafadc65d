#include "control/admin/retention_sweep.h"

#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

constexpr std::int64_t day_ms = 86'400'000;

}  // namespace

RetentionSweep::RetentionSweep(Loop& loop, SupervisorLink& link, Ledger& ledger,
                               std::uint64_t first_ms)
    : link_(link), ledger_(ledger), timer_(loop) {
  timer_.start(
      first_ms, [this] { run(); }, every_ms);
}

void RetentionSweep::run() {
  if (std::exchange(running_, true)) return;
  tenant_.clear();
  now_ms_ = wall_clock_ms();
  next();
}

void RetentionSweep::next() {
  tenant_ = ledger_.next_tenant(tenant_, now_ms_ - day_ms);  // nothing is kept for less
  if (tenant_.empty()) {
    running_ = false;
    return;
  }
  link_.ask(CommandVerb::show_tenant, tenant_, 0, [this](Result<SupervisorLink::Answer> answer) {
    if (answer && answer->tenants.size() == 1) {
      const std::int64_t days = answer->tenants[0].retention_days;
      if (days > 0) (void)ledger_.delete_older(tenant_, now_ms_ - days * day_ms, now_ms_);
    }
    // Nobody answers, or not in time: the next run does it. This may be within the call of ask().
    if (!answer && answer.error().code == ErrorCode::unavailable) {
      running_ = false;
      return;
    }
    next();
  });
}

}  // namespace tenantd
