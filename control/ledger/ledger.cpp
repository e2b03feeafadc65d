#include "control/ledger/ledger.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {

std::string_view event_type_name(EventType type) noexcept {
  switch (type) {
    case EventType::supervisor_started:
      return "supervisor_started";
    case EventType::worker_started:
      return "worker_started";
    case EventType::worker_ready:
      return "worker_ready";
    case EventType::worker_died:
      return "worker_died";
    case EventType::worker_adopted:
      return "worker_adopted";
    case EventType::worker_stopped:
      return "worker_stopped";
    case EventType::tenant_quarantined:
      return "tenant_quarantined";
    case EventType::config_applied:
      return "config_applied";
    case EventType::config_rejected:
      return "config_rejected";
    case EventType::tenant_removed:
      return "tenant_removed";
    case EventType::tenant_restarted:
      return "tenant_restarted";
    case EventType::removal_held:
      return "removal_held";
    case EventType::supervisor_stopping:
      return "supervisor_stopping";
    case EventType::tenant_suspected:
      return "tenant_suspected";
    case EventType::isolation_verified:
      return "isolation_verified";
    case EventType::isolation_violated:
      return "isolation_violated";
    case EventType::hook_failed:
      return "hook_failed";
    case EventType::records_deleted:
      return "records_deleted";
  }
  return "unknown";
}

namespace {

bool is_verification(std::string_view event) noexcept {
  return event == event_type_name(EventType::isolation_verified) ||
         event == event_type_name(EventType::isolation_violated);
}

}  // namespace

Ledger::Ledger(Loop& loop, std::string path, LedgerLimits limits, OnHealth on_health)
    : path_(std::move(path)),
      limits_(limits),
      on_health_(std::move(on_health)),
      batch_timer_(loop),
      retry_timer_(loop) {
  open_store();
}

void Ledger::open_store() {
  auto opened = LedgerStore::open(path_, limits_);
  if (!opened) return degrade(opened.error());
  store_.emplace(std::move(*opened));
  // What was numbered while degraded keeps its order after what the file holds.
  const std::uint64_t stored = store_->last_sequence();
  const std::uint64_t first_queued = queue_.empty() ? 0 : queue_.front().sequence;
  if (!queue_.empty() && first_queued <= stored) {
    const std::uint64_t shift = stored + 1 - first_queued;
    for (EventInfo& event : queue_) event.sequence += shift;
    for (EventInfo& event : recent_) event.sequence += shift;
    last_sequence_ += shift;
  }
  last_sequence_ = std::max(last_sequence_, stored);
  next_retry_ms_ = first_retry_ms;
  if (std::exchange(warning_, {}).empty()) return;
  std::string message = "the ledger is written again";
  if (dropped_ != 0) message += ", " + std::to_string(dropped_) + " events were lost";
  dropped_ = 0;
  on_health_(message);
  flush();
}

void Ledger::degrade(const Error& error) {
  store_.reset();
  const std::string before =
      std::exchange(warning_, "the event history is not being kept: " + error.describe());
  if (before != warning_) on_health_(warning_);
  retry_timer_.start(next_retry_ms_, [this] { open_store(); });
  next_retry_ms_ = retry_ms;
}

void Ledger::append(const Event& event) {
  EventInfo info;
  info.sequence = ++last_sequence_;
  info.time_ms = event.wall_ms;
  info.event = event_type_name(event.type);
  info.tenant = event.tenant_id.view();
  info.pid = event.pid;
  info.generation = event.worker_generation;
  info.detail = event.detail.view();
  recent_.push_back(info);
  if (recent_.size() > max_recent) recent_.pop_front();
  queue_.push_back(std::move(info));
  if (queue_.size() >= max_queued) flush();
  if (queue_.size() >= max_queued) {  // degraded: the oldest half makes room
    const auto half = static_cast<std::ptrdiff_t>(max_queued / 2);
    queue_.erase(queue_.begin(), queue_.begin() + half);
    dropped_ += max_queued / 2;
  }
  if (!batch_timer_.active()) batch_timer_.start(batch_delay_ms, [this] { flush(); });
}

void Ledger::flush() {
  if (!store_ || queue_.empty()) return;
  const Status written = store_->insert(queue_);
  if (!written) return degrade(written.error());
  queue_.clear();
}

std::string Ledger::next_tenant(std::string_view behind, std::int64_t before_ms) {
  flush();
  if (!store_) return {};
  auto tenant = store_->next_tenant(behind, before_ms);
  if (tenant) return std::move(*tenant);
  degrade(tenant.error());
  return {};
}

std::uint64_t Ledger::delete_older(std::string_view tenant, std::int64_t before_ms,
                                   std::int64_t now_ms) {
  flush();
  if (!store_) return 0;
  const auto deleted = store_->delete_older(tenant, before_ms);
  if (!deleted) {
    degrade(deleted.error());
    return 0;
  }
  if (deleted->count == 0) return 0;
  auto event = make_link_message<Event>(0);
  event.wall_ms = now_ms;
  event.type = EventType::records_deleted;
  (void)event.tenant_id.assign(tenant);  // a tenant's id fits
  event.detail.assign_truncated(std::to_string(deleted->count) + " events of " +
                                format_utc(deleted->oldest_ms) + " to " +
                                format_utc(deleted->newest_ms));
  append(event);
  return deleted->count;
}

std::vector<EventInfo> Ledger::read(std::string_view tenant, std::uint32_t limit,
                                    std::uint64_t after_sequence) {
  flush();
  if (store_) {
    auto rows = store_->read(tenant, limit, after_sequence);
    if (rows) return std::move(*rows);
    degrade(rows.error());
  }
  return read_recent(tenant, limit, after_sequence);
}

std::vector<EventInfo> Ledger::verifications(std::string_view tenant, std::uint32_t limit) {
  flush();
  if (store_) {
    auto rows = store_->verifications(tenant, limit);
    if (rows) return std::move(*rows);
    degrade(rows.error());
  }
  std::vector<EventInfo> out;
  for (auto event = recent_.rbegin(); event != recent_.rend() && out.size() < limit; ++event) {
    if (event->tenant == tenant && is_verification(event->event)) out.push_back(*event);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<EventInfo> Ledger::read_recent(std::string_view tenant, std::uint32_t limit,
                                           std::uint64_t after_sequence) const {
  std::vector<EventInfo> out;
  for (const EventInfo& event : recent_) {
    if (event.sequence <= after_sequence || (!tenant.empty() && event.tenant != tenant)) continue;
    out.push_back(event);
  }
  if (out.size() <= limit) return out;
  if (after_sequence != 0) {
    out.resize(limit);
  } else {
    out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(limit));
  }
  return out;
}

}  // namespace tenantd
