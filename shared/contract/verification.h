// The isolation verifier: what the supervisor, its probe program and control agree on.
//
// A probe is one fact that a plan promises, looked at from outside (by the supervisor) or tried
// from inside (by tenantd-probe, confined exactly like the tenant's worker). Fixed size, no
// pointers; the supervisor takes what the probe program says as a stranger's word.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shared/contract/link.h"

namespace tenantd {

enum class IsolationCheck : std::uint32_t { database, cache, network, process, resource, count };
inline constexpr std::array<std::string_view, static_cast<std::size_t>(IsolationCheck::count)>
    isolation_check_names = {"database", "cache", "network", "process", "resource"};

// One bit an IsolationCheck.
using CheckMask = std::uint32_t;
// How the ids of the tenants begin that a verification plants in a shard: no file can have them.
inline constexpr std::string_view planted_id_prefix = "tenantd-verify-";
inline constexpr CheckMask all_checks =
    (CheckMask{1} << static_cast<std::uint32_t>(IsolationCheck::count)) - 1;
[[nodiscard]] constexpr CheckMask mask_of(IsolationCheck check) noexcept {
  return CheckMask{1} << static_cast<std::uint32_t>(check);
}

enum class ProbeOutcome : std::uint32_t {
  passed,          // the promise holds, and the evidence says by what
  failed,          // it does not, or nobody can tell
  not_promised,    // the plan or the host does not promise it; the evidence says why
  not_applicable,  // there is nothing to look at: no worker runs
  count,
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(ProbeOutcome::count)>
    probe_outcome_names = {"passed", "failed", "not promised", "not applicable"};

// Supervisor → control: one a probe, before the CommandDone of CommandVerb::verify.
struct VerifyProbeRecord {
  static constexpr LinkKind kind = LinkKind::verify_probe_record;
  static constexpr std::size_t max_records = 64;  // of one verification
  LinkHeader header{};
  std::uint64_t command_id = 0;
  IsolationCheck check{};
  ProbeOutcome outcome{};
  std::uint32_t inside = 0;  // 1: tried by the probe program
  std::uint32_t reserved = 0;
  FixedText<48> name{};
  FixedText<200> evidence{};
};

// What the probe program tries, one attempt a process: most of what it tries ends it.
enum class ProbeAttempt : std::uint32_t {
  other_tenant_file,  // opens `path`, another tenant's database
  host_file,          // opens `path`, a file of the host that everybody may read
  other_memory,       // reads the memory of process `victim_pid`
  shared_memory,      // opens the directory of the host's shared memory
  tcp,                // connects to the host's loopback device
  udp,                // sends to it
  abstract_socket,    // connects to the abstract socket `path`, on which the supervisor listens
  path_socket,        // connects to the socket `path` of the host
  signal,             // signal 0 to `victim_pid`
  trace,              // attaches to it as a debugger
  proc,               // opens its directory below /proc
  fork,               // a process of its own
  new_namespace,      // a user namespace of its own
  execute,            // a program from memory
  system_call,        // one that no worker needs
  egress,             // sends a datagram to the address `path`, which its list has not
  memory,             // touches `amount` bytes
  cpu,                // burns `amount` microseconds
  threads,            // starts `amount` threads
  descriptors,        // opens `amount` descriptors
  file_size,          // writes at offset `amount` of its first data file
  new_file,           // adds a file to /data
  other_shard_file,   // opens `path`, a database of another pooled worker
  rows,               // a RowTenant for each side follows: all of RowProbe, as they
  count,
};

// Supervisor → probe program: the one thing it shall try.
struct ProbeOrder {
  static constexpr LinkKind kind = LinkKind::probe_order;
  LinkHeader header{};
  ProbeAttempt attempt{};
  std::int32_t victim_pid = 0;
  std::uint64_t amount = 0;  // of `rows`: a number that nobody had before
  FixedText<240> path{};
};

enum class ProbeStep : std::uint32_t { trying = 1, done = 2 };

// Probe program → supervisor: twice, before the attempt and, if that has not ended it, after.
struct ProbeResult {
  static constexpr LinkKind kind = LinkKind::probe_result;
  LinkHeader header{};
  ProbeStep step{};
  std::int32_t error = 0;  // 0: the attempt succeeded; else the errno that stopped it
};

// What one of two tenants that share a worker tries on the other, over connections to that worker.
enum class RowProbe : std::uint32_t {
  rows_listed,       // lists its routes
  rows_read,         // reads the other's routes by their ids
  rows_routed,       // asks what only the other's routes answer
  row_existence,     // takes ids that the other has
  rows_removed,      // replaces and removes what is called as the other's
  other_entry,       // reads, sets and deletes the other's cached value
  other_statistics,  // watches its numbers while the other uses its caches
  error_texts,       // provokes errors
  count,
};

enum class RowVerdict : std::uint32_t {
  held,
  broken,   // it learnt of the other, or did something to it
  untold,   // it did not come about
  refused,  // nor could it: the worker takes nobody more
};

enum class RowSide : std::uint32_t { intruder = 0, owner = 1 };

enum class RowPhase : std::uint32_t {
  meet = 0,  // plants, tries all of it, and leaves what it planted
  after =
      1,  // the worker has forgotten both and read them anew: looks at what is stored, removes it
};

// The one that the probe program speaks.
inline constexpr std::uint32_t row_protocol_version = 1;

// Supervisor → probe program, after the order: one side's connection to the live worker.
struct RowTenant {
  static constexpr LinkKind kind = LinkKind::row_tenant;
  LinkHeader header{};
  RowSide side{};
  RowPhase phase{};
  FixedText<64> tenant_id{};
};

// Probe program → supervisor, between its two ProbeResults: one of each that the phase is about.
struct RowResult {
  static constexpr LinkKind kind = LinkKind::row_result;
  LinkHeader header{};
  RowProbe probe{};
  RowVerdict verdict{};
  FixedText<128> text{};  // for people; of what is planted, never of a tenant's
};

static_assert(std::is_trivially_copyable_v<VerifyProbeRecord> && sizeof(VerifyProbeRecord) == 288);

}  // namespace tenantd
