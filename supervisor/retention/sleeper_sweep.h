// Lets retention_days hold for tenants whose worker sleeps: once a day it is started, deletes what
// is too old as every worker does after its start, and sleeps again. Few at a time, the one whose
// last turn is the longest ago first.
//
// Runs in: supervisor; single-threaded, with the caller's clocks. Between two turns nothing runs:
// whoever calls is told how long it may wait.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "supervisor/retention/swept_times.h"
#include "supervisor/tenant/tenants.h"

namespace tenantd {

struct SleeperSweepTimes {
  std::uint64_t first_ms = 10'000;  // after the start: who starts eagerly comes first
  std::int64_t every_s = 24LL * 60 * 60;
  std::uint64_t look_ms = 60ULL * 60 * 1000;   // for tenants that have come or gone to sleep since
  std::uint64_t retry_ms = 10ULL * 60 * 1000;  // max_workers are there
  std::uint64_t ask_ms =
      1000;  // how often a worker that is awake for it is asked whether it is done
  std::uint64_t longest_ms = 10ULL * 60 * 1000;  // for which it is left awake in any case
};

class SleeperSweep {
 public:
  static constexpr std::size_t max_awake = 2;

  struct Services {
    std::function<std::uint64_t()> now_ms;  // monotonic
    std::function<std::int64_t()> now_s;    // since the epoch
    // It has been started before: there is something that can be too old.
    std::function<bool(const Tenant&)> has_data;
    std::function<void(bool problem, const std::string& message, const TenantId& tenant)> note;
  };

  // `tenants` outlives it.
  SleeperSweep(Tenants& tenants, std::string times_path, SleeperSweepTimes times,
               Services services);

  // Does what is due; once all files have been read. Returns after how long it wants to be called
  // again, never 0.
  [[nodiscard]] std::uint64_t run();

 private:
  [[nodiscard]] bool may_be_swept(const Tenant& tenant) const;
  [[nodiscard]] std::int64_t due_s(const TenantId& tenant) const;
  // Of those that sleep and are not awake for it, whose turn it is next.
  [[nodiscard]] const Tenant* next() const;
  struct Turn {
    std::uint64_t began_ms = 0;
    std::uint64_t asked_ms = 0;
  };
  // The worker has said so, or has had its time.
  [[nodiscard]] bool is_over(const TenantId& id, Turn& turn);
  void end_turns();
  [[nodiscard]] std::uint64_t until_next_end() const;

  Tenants& tenants_;
  SweptTimes swept_;
  SleeperSweepTimes times_;
  Services services_;
  std::map<TenantId, Turn> awake_;
};

}  // namespace tenantd
