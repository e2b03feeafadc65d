// What the tenants of a pooled worker hold of its memory, and who goes when that is too much.
#include <algorithm>
#include <utility>

#include "worker/runtime/hosted_tenants.h"

namespace tenantd {

void HostedTenants::note_held(Room& room) {
  held_bytes_ -= room.held_bytes;
  room.held_bytes = room.tenant->held_bytes();
  held_bytes_ += room.held_bytes;
  if (room.held_bytes >= largest_bytes_) {
    largest_ = room.tenant.get();
    largest_bytes_ = room.held_bytes;
    if (shared_.mark != nullptr)
      shared_.mark->largest(room.tenant->context().tenant(), largest_bytes_);
  } else if (largest_ == room.tenant.get()) {
    tell_largest();
  }
}

void HostedTenants::forget_held(Room& room) {
  held_bytes_ -= std::exchange(room.held_bytes, 0);
  if (largest_ == room.tenant.get()) tell_largest();
}

void HostedTenants::tell_largest() {
  largest_ = nullptr;
  largest_bytes_ = 0;
  for (const auto& [id, room] : rooms_) {
    if (room.held_bytes <= largest_bytes_) continue;
    largest_ = room.tenant.get();
    largest_bytes_ = room.held_bytes;
  }
  if (largest_ != nullptr && shared_.mark != nullptr) {
    shared_.mark->largest(largest_->context().tenant(), largest_bytes_);
  }
}

// Who has waited longest for work goes first; those at work are told to come again.
void HostedTenants::make_room() {
  if (memory_for_routes_ == 0 || held_bytes_ <= memory_for_routes_) return;
  std::vector<std::pair<std::uint64_t, TenantId>> by_use;
  for (auto& [id, room] : rooms_) {
    if (room.state == State::open) by_use.emplace_back(room.tenant->seat().last_used_ns, id);
  }
  std::sort(by_use.begin(), by_use.end());
  if (!by_use.empty()) by_use.pop_back();  // somebody has just come for it
  std::uint64_t left = held_bytes_;
  for (const auto& [used, id] : by_use) {
    if (left <= memory_for_routes_ / 8 * 7) break;
    const auto place = rooms_.find(id);
    if (place == rooms_.end() || place->second.tenant->in_flight() > 0) continue;
    left -= place->second.held_bytes;
    close(place->second, GoawayReason::sleeping);
  }
}

}  // namespace tenantd
