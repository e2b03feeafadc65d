// What a tenant's worker has recorded and how long it keeps it: the history of executions, and what
// was deleted of it when. For operators only: it names the users of others. No text of any request
// is recorded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/id_limits.h"
#include "shared/protocol/messages.h"

namespace tenantd {

inline constexpr std::uint32_t max_executions_per_page = 256;
inline constexpr std::uint32_t max_deletions_per_report = 64;

// How a request ended.
enum class ExecutionOutcome : std::uint8_t {
  matched = 0,
  fallback = 1,
  error = 2,
  cached = 3,  // a remembered answer, of a route or the fallback
};
[[nodiscard]] constexpr bool is_valid(ExecutionOutcome value) noexcept {
  return value <= ExecutionOutcome::cached;
}

// Newest first. Times are microseconds of UTC since 1970.
struct ExecutionsRequest {
  static constexpr MessageType type = MessageType::executions_request;
  std::int64_t since_us = 0;
  std::int64_t until_us = 0;  // before it; 0: now
  std::uint32_t limit = 100;  // of this page; more than 256 is 256
  // The place of the last page's last execution; 0 and 0: from the newest.
  std::int64_t after_us = 0;
  std::uint64_t after_serial = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("since_us", self.since_us);
    visit("until_us", self.until_us);
    visit("limit", self.limit);
    visit("after_us", self.after_us);
    visit("after_serial", self.after_serial);
  }
};

struct Execution {
  std::int64_t time_us = 0;  // when it was answered
  std::uint64_t serial = 0;  // counts all that were ever kept of the tenant
  std::uint64_t request_id = 0;
  std::string route;  // empty: none, or an error
  float confidence = 0;
  std::uint32_t latency_us = 0;  // in the worker; of a batch, all of it
  std::string user;              // "uid:1000", or "token:9f86d081": as the supervisor knows it
  ExecutionOutcome outcome = ExecutionOutcome::matched;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("time_us", self.time_us);
    visit("serial", self.serial);
    visit("request_id", self.request_id);
    visit("route", self.route, Bound{max_route_id_bytes});
    visit("confidence", self.confidence);
    visit("latency_us", self.latency_us);
    visit("user", self.user, Bound{32});
    visit("outcome", self.outcome);
  }
};

struct Executions {
  static constexpr MessageType type = MessageType::executions;
  std::vector<Execution> executions;
  bool more = false;  // there are older ones in the range: ask again after the last
  // Since the worker's process or the tenant's sampling began: not recorded because the worker
  // could not write as fast as it answered, or not at all.
  std::uint64_t dropped = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("executions", self.executions, Bound{max_executions_per_page});
    visit("more", self.more);
    visit("dropped", self.dropped);
  }
};

struct RetentionRequest {
  static constexpr MessageType type = MessageType::retention_request;
  bool run = false;  // delete now what is due, a bounded part of it at a time

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("run", self.run);
  }
};

// One run that has deleted something.
struct DeletionInfo {
  std::int64_t time_us = 0;
  std::string what;  // "executions", "events"
  std::uint64_t count = 0;
  std::int64_t oldest_us = 0;  // of what was deleted
  std::int64_t newest_us = 0;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("time_us", self.time_us);
    visit("what", self.what, Bound{32});
    visit("count", self.count);
    visit("oldest_us", self.oldest_us);
    visit("newest_us", self.newest_us);
  }
};

struct Retention {
  static constexpr MessageType type = MessageType::retention;
  std::uint32_t retention_days = 0;  // 0: none set
  double sample = 0;
  std::uint64_t max_executions = 0;
  std::uint64_t executions = 0;  // rows held
  std::int64_t oldest_us = 0;    // of them; 0: there are none
  std::int64_t newest_us = 0;
  std::uint64_t dropped = 0;            // as of Executions
  std::int64_t last_run_us = 0;         // 0: none since the worker's process began
  std::int64_t next_run_us = 0;         // by the clock as it is now
  bool more = false;                    // a run left something for the next one
  std::vector<DeletionInfo> deletions;  // the newest, newest first

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("retention_days", self.retention_days);
    visit("sample", self.sample);
    visit("max_executions", self.max_executions);
    visit("executions", self.executions);
    visit("oldest_us", self.oldest_us);
    visit("newest_us", self.newest_us);
    visit("dropped", self.dropped);
    visit("last_run_us", self.last_run_us);
    visit("next_run_us", self.next_run_us);
    visit("more", self.more);
    visit("deletions", self.deletions, Bound{max_deletions_per_report});
  }
};

}  // namespace tenantd
