// The whole table at once: properties that each of its cells must have.
#include "supervisor/tenant/state_table.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

using namespace tenantd;

namespace {

template <class Enum>
std::vector<Enum> all_of() {
  std::vector<Enum> all;
  for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(Enum::count); ++i) {
    all.push_back(static_cast<Enum>(i));
  }
  return all;
}

bool launches(Action action) { return action == Action::spawn; }

bool needs_process(Action action) {
  switch (action) {
    case Action::accept_ready:
    case Action::drain_replaced:
    case Action::drain_restarting:
    case Action::drain_removed:
    case Action::drain_stopping:
    case Action::kill:
    case Action::adopt:
    case Action::adopt_removed:
      return true;
    default:
      return false;
  }
}

}  // namespace

TEST_CASE(
    "cells that do nothing or cannot happen stay in their phase, but for a survivor's removal") {
  for (const Phase phase : all_of<Phase>()) {
    for (const TenantEvent event : all_of<TenantEvent>()) {
      const Transition cell = transition(phase, event);
      CAPTURE(phase_name(phase));
      CAPTURE(event_name(event));
      CHECK(cell.next < Phase::count);
      if (cell.action == Action::never) CHECK(cell.next == phase);
      if (cell.action == Action::ignore && event != TenantEvent::removed) CHECK(cell.next == phase);
    }
  }
}

TEST_CASE("never two writers: a launch only where no process can be, and it ends where one is") {
  for (const Phase phase : all_of<Phase>()) {
    for (const TenantEvent event : all_of<TenantEvent>()) {
      const Transition cell = transition(phase, event);
      CAPTURE(phase_name(phase));
      CAPTURE(event_name(event));
      if (launches(cell.action)) {
        CHECK(!has_process(phase));
        CHECK(has_process(cell.next));
      }
      if (needs_process(cell.action)) CHECK(has_process(phase));
      // A process ends only by its death (or was never launched).
      const bool death = event == TenantEvent::died || event == TenantEvent::died_for_good ||
                         event == TenantEvent::host_refuses;
      if (has_process(phase) && !has_process(cell.next)) CHECK(death);
      if (cell.action == Action::forget && has_process(phase)) CHECK(death);
    }
  }
}

TEST_CASE("every tenant can be restarted, removed and shut down in every phase") {
  for (const Phase phase : all_of<Phase>()) {
    CAPTURE(phase_name(phase));
    for (const TenantEvent event :
         {TenantEvent::restart, TenantEvent::removed, TenantEvent::shutdown}) {
      CHECK(transition(phase, event).action != Action::never);
    }
    const Transition shutdown = transition(phase, TenantEvent::shutdown);
    CHECK(shutdown.next == Phase::stopping);
    // By hand it is asked to start at once, or is on its way already.
    const Phase restarted = transition(phase, TenantEvent::restart).next;
    const std::set<Phase> on_its_way = {Phase::queued, Phase::draining, Phase::stopping};
    CHECK(on_its_way.contains(restarted));
  }
}

TEST_CASE("whatever goes on has a way to end: each phase with a process leaves it at its death") {
  for (const Phase phase : all_of<Phase>()) {
    if (!has_process(phase)) continue;
    CAPTURE(phase_name(phase));
    CHECK(transition(phase, TenantEvent::died).action != Action::never);
    CHECK(transition(phase, TenantEvent::died).action != Action::ignore);
  }
}

TEST_CASE("what control shows") {
  CHECK(tenant_state(Phase::queued) == TenantState::starting);
  CHECK(tenant_state(Phase::starting) == TenantState::starting);
  std::set<TenantState> shown;
  for (const Phase phase : all_of<Phase>()) shown.insert(tenant_state(phase));
  CHECK(tenant_state(Phase::resting) == TenantState::draining);
  CHECK(shown.size() == static_cast<std::size_t>(Phase::count) - 2);
}
