// The link: fixed-size messages between the supervisor and its confined programs, over
// SOCK_SEQPACKET.
//
// Both ends validate: the supervisor trusts no worker (a compromised one may send anything), and
// takes no descriptor from anybody. One message is one packet of exactly sizeof(T). Same machine,
// same build: a different `version` is refused, except that WorkerHello is kept stable so that a
// newer supervisor can tell an older worker to drain.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "shared/contract/fixed_text.h"
#include "shared/contract/process_contract.h"
#include "shared/contract/tenant_settings.h"

namespace tenantd {

inline constexpr std::uint16_t link_version = 1;

enum class LinkKind : std::uint16_t {
  // program → supervisor
  confinement_report = 1,  // from the jail, before exec
  worker_hello = 2,        // a worker that registers again after the supervisor's death
  ready = 3,
  worker_status = 4,
  drained = 5,
  command = 6,       // control only
  probe_result = 7,  // tenantd-probe only
  row_result = 8,    // likewise
  rows_moved = 9,    // pooled workers only
  // supervisor → program
  attach = 32,  // carries the client's socket
  settings = 33,
  drain = 34,
  log_pipe = 35,  // carries the write end of a new log pipe
  adopted = 36,
  event = 37,                // control only
  log_line = 38,             // control only
  tenant_record = 39,        // control only: answers to a Command
  command_done = 40,         // control only
  posture_record = 41,       // control only
  status_request = 42,       // asks a worker for a WorkerStatus
  verify_probe_record = 43,  // control only
  probe_order = 44,          // tenantd-probe only
  release_tenant = 45,       // pooled workers only
  row_tenant = 46,           // tenantd-probe only; carries a client's socket
  move_rows = 47,            // pooled workers only
};

struct LinkHeader {
  LinkKind kind{};
  std::uint16_t version = link_version;
  std::uint32_t size = 0;        // of the whole message
  std::uint64_t generation = 0;  // the program's; the supervisor ignores messages of another one
};

// What the jail could apply. `failed_errno` and `reason` describe the first missing required layer.
struct ConfinementReport {
  static constexpr LinkKind kind = LinkKind::confinement_report;
  LinkHeader header{};
  std::uint32_t applied_layers = 0;
  std::uint32_t missing_layers = 0;
  std::int32_t landlock_abi = 0;
  std::int32_t failed_errno = 0;
  FixedText<128> reason{};
};

struct WorkerHello {
  static constexpr LinkKind kind = LinkKind::worker_hello;
  LinkHeader header{};
  FixedText<64> tenant_id{};
  std::uint32_t applied_layers = 0;
  std::uint32_t reserved = 0;
};

struct Ready {
  static constexpr LinkKind kind = LinkKind::ready;
  LinkHeader header{};
};

enum class StoreState : std::uint32_t { healthy = 0, degraded = 1 };

// Sent when asked (status_request) and when store_state changes.
struct WorkerStatus {
  static constexpr LinkKind kind = LinkKind::worker_status;
  LinkHeader header{};
  std::uint64_t routes = 0;
  std::uint64_t utterances = 0;
  std::uint64_t requests = 0;  // answered since start, errors included
  std::uint64_t errors = 0;
  std::uint64_t attachments = 0;  // now
  std::uint64_t attachments_refused = 0;
  std::uint64_t peer_faults = 0;  // attachments dropped for what the peer did
  std::uint64_t snapshot_version = 0;
  std::uint64_t open_tenants = 0;  // of a pooled worker; the numbers above are their sums
  StoreState store_state = StoreState::healthy;
  // 1: since this process began, what was past its retention has been deleted.
  std::uint32_t swept = 0;
  FixedText<128> store_reason{};
};

struct Drained {
  static constexpr LinkKind kind = LinkKind::drained;
  LinkHeader header{};
};

struct Attach {
  static constexpr LinkKind kind = LinkKind::attach;
  LinkHeader header{};
  std::uint64_t attachment_id = 0;  // unique per supervisor; for logs
  FixedText<64> tenant_id{};        // bound by the supervisor; the only source of identity
  std::uint32_t peer_uid = 0;
  std::uint32_t peer_gid = 0;
  std::int32_t peer_pid = 0;           // of connect(2); for logs only
  std::uint32_t protocol_version = 0;  // chosen by the supervisor from the hello's range
  std::uint32_t is_operator = 0;       // root, the daemon's uid or the admin group
  // The first four bytes of the SHA-256 of the token that was shown, read as eight digits of the
  // tenant's file are; 0: none was, the peer is its uid.
  std::uint32_t token_tag = 0;
};

// To a pooled worker also right before each Attach: it keeps nothing of tenants that sleep. Where a
// tenant is not open and no Attach follows, nothing happens.
struct Settings {
  static constexpr LinkKind kind = LinkKind::settings;
  LinkHeader header{};
  TenantSettings settings{};
};

enum class DrainReason : std::uint32_t { stopping = 1, restarting = 2, replaced = 3, removed = 4 };

struct Drain {
  static constexpr LinkKind kind = LinkKind::drain;
  LinkHeader header{};
  DrainReason reason = DrainReason::stopping;
  std::uint32_t timeout_ms = 0;
};

struct LogPipe {
  static constexpr LinkKind kind = LinkKind::log_pipe;
  LinkHeader header{};
};
struct Adopted {
  static constexpr LinkKind kind = LinkKind::adopted;
  LinkHeader header{};
};
struct StatusRequest {
  static constexpr LinkKind kind = LinkKind::status_request;
  LinkHeader header{};
};

// Says GOAWAY to the tenant's attachments and forgets it; what is stored stays.
struct ReleaseTenant {
  static constexpr LinkKind kind = LinkKind::release_tenant;
  LinkHeader header{};
  FixedText<64> tenant_id{};
  DrainReason reason = DrainReason::removed;
  std::uint32_t reserved = 0;
};

// To a pooled worker that has both shards: all rows of the tenant go from one to the other. It may
// come again, whatever was done of it. Until the answer says that it is done, nobody attaches to
// the tenant.
struct MoveRows {
  static constexpr LinkKind kind = LinkKind::move_rows;
  LinkHeader header{};
  FixedText<64> tenant_id{};
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};

struct RowsMoved {
  static constexpr LinkKind kind = LinkKind::rows_moved;
  LinkHeader header{};
  FixedText<64> tenant_id{};
  std::uint32_t to = 0;
  std::uint32_t done = 0;   // 1: all are there and durable, and none is left where they were
  FixedText<128> reason{};  // otherwise
};

// Fills in the header of a message to be sent.
template <class T>
[[nodiscard]] T make_link_message(std::uint64_t generation) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  T message{};
  message.header.kind = T::kind;
  message.header.size = sizeof(T);
  message.header.generation = generation;
  return message;
}

// Copies a received packet into `out` if its kind, version and size are T's. False otherwise.
template <class T>
[[nodiscard]] bool parse_link_message(std::span<const std::byte> packet, T& out) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  if (packet.size() != sizeof(T)) return false;
  T message;
  std::memcpy(static_cast<void*>(&message), packet.data(), sizeof message);
  if (message.header.kind != T::kind || message.header.version != link_version ||
      message.header.size != sizeof(T)) {
    return false;
  }
  out = message;
  return true;
}

}  // namespace tenantd
