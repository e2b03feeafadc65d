#include "supervisor/daemon/event_words.h"

namespace tenantd {

LogLevel level_of(EventType type) noexcept {
  switch (type) {
    case EventType::worker_died:
    case EventType::config_rejected:
    case EventType::removal_held:
    case EventType::tenant_suspected:
    case EventType::hook_failed:
      return LogLevel::warn;
    case EventType::tenant_quarantined:
    case EventType::isolation_violated:
      return LogLevel::error;
    default:
      return LogLevel::info;
  }
}

std::string_view name_of(EventType type) noexcept {
  switch (type) {
    case EventType::supervisor_started:
      return "supervisor started";
    case EventType::worker_started:
      return "worker started";
    case EventType::worker_ready:
      return "worker ready";
    case EventType::worker_died:
      return "worker died";
    case EventType::worker_adopted:
      return "worker adopted";
    case EventType::worker_stopped:
      return "worker stopped";
    case EventType::tenant_quarantined:
      return "quarantined";
    case EventType::config_applied:
      return "configuration applied";
    case EventType::config_rejected:
      return "configuration rejected";
    case EventType::tenant_removed:
      return "tenant removed";
    case EventType::tenant_restarted:
      return "tenant restarted";
    case EventType::removal_held:
      return "removal held";
    case EventType::supervisor_stopping:
      return "supervisor stopping";
    case EventType::tenant_suspected:
      return "tenant suspected";
    case EventType::isolation_verified:
      return "isolation verified";
    case EventType::isolation_violated:
      return "CRITICAL: isolation violated";
    case EventType::hook_failed:
      return "hook failed";
    case EventType::records_deleted:
      break;  // control's own
  }
  return "event";
}

}  // namespace tenantd
