// What a tenant does when something happens: phase × event → action, next phase.
//
// Runs in: supervisor. The table is total: each pair is a transition, `ignore` (expected, nothing
// to do) or `never` (only a bug of ours could raise it; it is logged and nothing happens).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/contract/control_link.h"

namespace tenantd {

// TenantState with `starting` split: a queued tenant has no process yet.
enum class Phase : std::uint8_t {
  sleeping,
  queued,    // waits for one of the start slots
  starting,  // launched, not ready
  running,
  draining,  // going, another generation follows
  backoff,
  quarantined,
  refused,
  adopting,  // a survivor that has not registered yet
  stopping,  // going, nothing follows
  resting,   // going, and sleeps then
  count,
};

enum class TenantEvent : std::uint8_t {
  wake,            // an attachment waits, or the file says eager
  slot,            // a start slot is free
  ready,           // the worker said so
  deadline,        // the phase has lasted as long as it may
  died,            // the worker is dead or could not be launched; try again
  died_for_good,   // the same, and the crash loop limit is reached
  host_refuses,    // this host cannot do what the file asks
  misbehaved,      // bad bytes, a flood or a closed link
  restart,         // by hand
  changed_live,    // the file changed, nothing needs a new worker
  changed_worker,  // the file changed, a new worker is needed
  removed,         // the file is gone
  returned,        // the file of a stopping tenant is back
  registered,      // a survivor proved who it is
  shutdown,        // the supervisor stops all workers
  rest,            // nobody needs the worker any more
  count,
};

enum class Action : std::uint8_t {
  ignore,
  never,
  enqueue,        // ask for a start slot
  enqueue_fresh,  // the same, and forget earlier deaths
  rest_fresh,     // no worker until one is wanted; forget earlier deaths
  spawn,
  accept_ready,
  drain_replaced,  // ask the worker to go; SIGKILL after the drain timeout
  drain_restarting,
  drain_removed,
  drain_stopping,
  kill,  // SIGKILL now; its death is the next event
  wait_backoff,
  quarantine,
  refuse,
  adopt,          // the survivor's link is live: settings, limits, a new log pipe
  adopt_removed,  // the same, then drain_removed
  keep_going,     // a stopping worker's tenant is wanted again: only the next phase changes
  forget,         // erase the tenant
};

struct Transition {
  Action action = Action::never;
  Phase next{};
};

[[nodiscard]] Transition transition(Phase phase, TenantEvent event) noexcept;
[[nodiscard]] TenantState tenant_state(Phase phase) noexcept;
// A process of the tenant may exist: launching another one would make two writers.
[[nodiscard]] bool has_process(Phase phase) noexcept;
[[nodiscard]] std::string_view phase_name(Phase phase) noexcept;
[[nodiscard]] std::string_view event_name(TenantEvent event) noexcept;

}  // namespace tenantd
