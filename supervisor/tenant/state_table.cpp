#include "supervisor/tenant/state_table.h"

#include <array>
#include <utility>

namespace tenantd {
namespace {

using enum Action;
constexpr auto phases = static_cast<std::size_t>(Phase::count);
constexpr auto events = static_cast<std::size_t>(TenantEvent::count);

using Row = std::array<Transition, phases>;

// A cell that stays where it is.
constexpr Phase stay = Phase::count;
constexpr Transition ign{ignore, stay};
constexpr Transition bug{never, stay};
constexpr Transition kill_stay{kill, stay};
constexpr Transition queue{enqueue, Phase::queued};
constexpr Transition fresh{enqueue_fresh, Phase::queued};
constexpr Transition anew{rest_fresh, Phase::sleeping};
constexpr Transition gone{forget, Phase::stopping};
constexpr Transition back_off{wait_backoff, Phase::backoff};
constexpr Transition jailed{quarantine, Phase::quarantined};
constexpr Transition no_host{refuse, Phase::refused};
constexpr Transition kill_next{kill, Phase::draining};
constexpr Transition back{keep_going, Phase::draining};

// clang-format off
// Columns:  sleeping  queued  starting  running  draining  backoff  quarantined  refused  adopting  stopping  resting
constexpr std::array<Row, events> table = {{
  /* wake */
  {{ queue, ign, ign, ign, ign, ign, ign, ign, ign, ign, back }},
  /* slot */
  {{ bug, {spawn, Phase::starting}, bug, bug, bug, bug, bug, bug, bug, bug, bug }},
  /* ready: a worker that is already going may still say it */
  {{ bug, bug, {accept_ready, Phase::running}, ign, ign, bug, bug, bug, ign, ign, ign }},
  /* deadline */
  {{ bug, bug, kill_stay, bug, kill_stay, queue, bug, bug, kill_next, kill_stay, kill_stay }},
  /* died */
  {{ bug, bug, back_off, back_off, queue, bug, bug, bug, queue, gone, anew }},
  /* died_for_good */
  {{ bug, bug, jailed, jailed, queue, bug, bug, bug, queue, gone, anew }},
  /* host_refuses */
  {{ bug, no_host, no_host, bug, bug, bug, bug, bug, bug, bug, bug }},
  /* misbehaved */
  {{ bug, bug, kill_stay, kill_stay, kill_stay, bug, bug, bug, ign, kill_stay, kill_stay }},
  /* restart */
  {{ fresh, ign, kill_next, {drain_restarting, Phase::draining}, ign, fresh, fresh, fresh, kill_next, ign, back }},
  /* changed_live */
  {{ ign, ign, ign, ign, ign, anew, anew, anew, ign, ign, ign }},
  /* changed_worker */
  {{ ign, ign, kill_next, {drain_replaced, Phase::draining}, ign, anew, anew, anew, kill_next, ign, ign }},
  /* removed: a survivor is asked to drain once it registers */
  {{ gone, gone, {drain_removed, Phase::stopping}, {drain_removed, Phase::stopping}, {drain_removed, Phase::stopping},
     gone, gone, gone, {ignore, Phase::stopping}, ign, {drain_removed, Phase::stopping} }},
  /* returned */
  {{ bug, bug, bug, bug, bug, bug, bug, bug, bug, {keep_going, Phase::draining}, bug }},
  /* registered */
  {{ bug, bug, bug, bug, ign, bug, bug, bug, {adopt, Phase::running}, {adopt_removed, stay}, ign }},
  /* shutdown */
  {{ gone, gone, {drain_stopping, Phase::stopping}, {drain_stopping, Phase::stopping}, {drain_stopping, Phase::stopping},
     gone, gone, gone, {kill, Phase::stopping}, {drain_stopping, Phase::stopping}, {drain_stopping, Phase::stopping} }},
  /* rest */
  {{ ign, ign, ign, {drain_stopping, Phase::resting}, ign, ign, ign, ign, ign, ign, ign }},
}};
// clang-format on

constexpr std::array<std::string_view, phases> phase_names = {
    "sleeping",    "queued",  "starting", "running",  "draining", "backoff",
    "quarantined", "refused", "adopting", "stopping", "resting"};
constexpr std::array<std::string_view, events> event_names = {
    "wake",         "slot",       "ready",    "deadline",     "died",           "died_for_good",
    "host_refuses", "misbehaved", "restart",  "changed_live", "changed_worker", "removed",
    "returned",     "registered", "shutdown", "rest"};

}  // namespace

Transition transition(Phase phase, TenantEvent event) noexcept {
  Transition cell = table[static_cast<std::size_t>(event)][static_cast<std::size_t>(phase)];
  if (cell.next == stay) cell.next = phase;
  return cell;
}

TenantState tenant_state(Phase phase) noexcept {
  switch (phase) {
    case Phase::sleeping:
      return TenantState::sleeping;
    case Phase::queued:
    case Phase::starting:
      return TenantState::starting;
    case Phase::running:
      return TenantState::running;
    case Phase::draining:
    case Phase::resting:
      return TenantState::draining;
    case Phase::backoff:
      return TenantState::backoff;
    case Phase::quarantined:
      return TenantState::quarantined;
    case Phase::adopting:
      return TenantState::adopting;
    case Phase::stopping:
      return TenantState::stopping;
    case Phase::refused:
    case Phase::count:
      break;
  }
  return TenantState::refused;
}

bool has_process(Phase phase) noexcept {
  switch (phase) {
    case Phase::starting:
    case Phase::running:
    case Phase::draining:
    case Phase::adopting:
    case Phase::stopping:
    case Phase::resting:
      return true;
    default:
      return false;
  }
}

std::string_view phase_name(Phase phase) noexcept {
  return phase < Phase::count ? phase_names[static_cast<std::size_t>(phase)] : "?";
}
std::string_view event_name(TenantEvent event) noexcept {
  return event < TenantEvent::count ? event_names[static_cast<std::size_t>(event)] : "?";
}

}  // namespace tenantd
