// What happened to the tenants: events in the order control learnt of them, kept over restarts.
//
// Runs in: control. Events are queued and written in batches, so that a storm of them costs a few
// commits. A ledger that is corrupt, full or in use degrades: control goes on with the newest
// events in memory, says so in warning(), and tries again now and then. It never ends the process.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/ledger/ledger_store.h"
#include "shared/contract/control_link.h"
#include "shared/loop/loop.h"
#include "shared/protocol/admin_messages.h"

namespace tenantd {

// "worker_died"; "unknown" for a number outside the list.
[[nodiscard]] std::string_view event_type_name(EventType type) noexcept;

class Ledger {
 public:
  static constexpr std::uint64_t batch_delay_ms = 50;
  static constexpr std::size_t max_queued = 2048;  // then a batch is written at once
  static constexpr std::size_t max_recent = 1024;  // kept in memory
  static constexpr std::uint64_t retry_ms = 10'000;
  static constexpr std::uint64_t first_retry_ms = 250;  // an earlier control may still be ending

  using OnHealth = std::function<void(std::string_view message)>;  // for the log

  // Never fails: a file that cannot be opened makes a degraded ledger.
  Ledger(Loop& loop, std::string path, LedgerLimits limits, OnHealth on_health);

  void append(const Event& event);
  // Includes what was appended before the call. See LedgerStore::read for which and in what order.
  [[nodiscard]] std::vector<EventInfo> read(std::string_view tenant, std::uint32_t limit,
                                            std::uint64_t after_sequence);
  // The newest `limit` verifications of a tenant, the oldest of them first.
  [[nodiscard]] std::vector<EventInfo> verifications(std::string_view tenant, std::uint32_t limit);
  // The first tenant behind that one, in the order of ids, of whom there are events before a time;
  // empty: no more.
  [[nodiscard]] std::string next_tenant(std::string_view behind, std::int64_t before_ms);
  // Deletes a tenant's events before a time and records that as one. Returns how many.
  std::uint64_t delete_older(std::string_view tenant, std::int64_t before_ms, std::int64_t now_ms);
  // Writes what is queued; called before the process ends.
  void flush();
  // Empty: healthy.
  [[nodiscard]] const std::string& warning() const noexcept { return warning_; }

 private:
  void open_store();
  void degrade(const Error& error);
  [[nodiscard]] std::vector<EventInfo> read_recent(std::string_view tenant, std::uint32_t limit,
                                                   std::uint64_t after_sequence) const;

  std::string path_;
  LedgerLimits limits_;
  OnHealth on_health_;
  std::optional<LedgerStore> store_;  // empty: degraded
  std::uint64_t last_sequence_ = 0;
  std::vector<EventInfo> queue_;  // not written yet; bounded by max_queued
  std::deque<EventInfo> recent_;  // bounded by max_recent
  std::uint64_t dropped_ = 0;     // lost from the queue while degraded
  std::uint64_t next_retry_ms_ = first_retry_ms;
  std::string warning_;
  Timer batch_timer_;
  Timer retry_timer_;
};

}  // namespace tenantd
