// Message types, who may send each, and the messages of an attachment's life. What travels inside
// it is in routing_messages.h, cache_messages.h and history_messages.h (to a worker) and
// admin_messages.h (to control).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/protocol/codec.h"

namespace tenantd {

// Stable numbers; append only.
enum class MessageType : std::uint16_t {
  error = 1,
  welcome = 2,
  choose_transport = 3,
  ring_ready = 4,
  goaway = 5,
  ping = 6,
  pong = 7,
  route = 16,
  route_reply = 17,
  routes_edit = 18,
  routes_edited = 19,
  routes_page_request = 20,
  routes_page = 21,
  tenant_stats_request = 22,
  tenant_stats = 23,
  route_batch = 24,
  route_batch_reply = 25,
  routes_trial = 26,
  routes_tried = 27,
  cache_get = 28,
  cache_value = 29,
  cache_set = 30,
  cache_delete = 31,
  cache_clear = 32,
  cache_changed = 33,
  cache_stats_request = 34,
  cache_stats = 35,
  executions_request = 36,
  executions = 37,
  retention_request = 38,
  retention = 39,
  admin_tenants_request = 64,
  admin_tenants = 65,
  admin_restart = 66,
  admin_reload = 67,
  admin_done = 68,
  admin_logs_request = 69,
  admin_logs = 70,
  admin_events_request = 71,
  admin_events = 72,
  admin_posture_request = 73,
  admin_posture = 74,
  admin_daemon_request = 75,
  admin_daemon = 76,
  admin_verify = 77,
  admin_verification = 78,
  admin_verifications_request = 79,
  admin_verifications = 80,
};

// Which side may send a message, and to whom. A receiver drops a peer that sends anything else.
enum class Sender : std::uint8_t { server, client_to_worker, client_to_control, client };

struct MessageRule {
  MessageType type;
  std::string_view name;
  Sender sender;
  bool idempotent;  // safe to run twice: the client library re-sends it after a crash
};

inline constexpr std::array<MessageRule, 48> message_rules = {{
    {MessageType::error, "error", Sender::server, false},
    {MessageType::welcome, "welcome", Sender::server, false},
    {MessageType::choose_transport, "choose_transport", Sender::client_to_worker, false},
    {MessageType::ring_ready, "ring_ready", Sender::server, false},
    {MessageType::goaway, "goaway", Sender::server, false},
    {MessageType::ping, "ping", Sender::client, true},
    {MessageType::pong, "pong", Sender::server, false},
    {MessageType::route, "route", Sender::client_to_worker, true},
    {MessageType::route_reply, "route_reply", Sender::server, false},
    {MessageType::routes_edit, "routes_edit", Sender::client_to_worker, false},
    {MessageType::routes_edited, "routes_edited", Sender::server, false},
    {MessageType::routes_page_request, "routes_page_request", Sender::client_to_worker, true},
    {MessageType::routes_page, "routes_page", Sender::server, false},
    {MessageType::tenant_stats_request, "tenant_stats_request", Sender::client_to_worker, true},
    {MessageType::tenant_stats, "tenant_stats", Sender::server, false},
    {MessageType::route_batch, "route_batch", Sender::client_to_worker, true},
    {MessageType::route_batch_reply, "route_batch_reply", Sender::server, false},
    {MessageType::routes_trial, "routes_trial", Sender::client_to_worker, true},
    {MessageType::routes_tried, "routes_tried", Sender::server, false},
    {MessageType::cache_get, "cache_get", Sender::client_to_worker, true},
    {MessageType::cache_value, "cache_value", Sender::server, false},
    {MessageType::cache_set, "cache_set", Sender::client_to_worker, true},
    {MessageType::cache_delete, "cache_delete", Sender::client_to_worker, true},
    {MessageType::cache_clear, "cache_clear", Sender::client_to_worker, true},
    {MessageType::cache_changed, "cache_changed", Sender::server, false},
    {MessageType::cache_stats_request, "cache_stats_request", Sender::client_to_worker, true},
    {MessageType::cache_stats, "cache_stats", Sender::server, false},
    {MessageType::executions_request, "executions_request", Sender::client_to_worker, true},
    {MessageType::executions, "executions", Sender::server, false},
    {MessageType::retention_request, "retention_request", Sender::client_to_worker, true},
    {MessageType::retention, "retention", Sender::server, false},
    {MessageType::admin_tenants_request, "admin_tenants_request", Sender::client_to_control, true},
    {MessageType::admin_tenants, "admin_tenants", Sender::server, false},
    {MessageType::admin_restart, "admin_restart", Sender::client_to_control, false},
    {MessageType::admin_reload, "admin_reload", Sender::client_to_control, true},
    {MessageType::admin_done, "admin_done", Sender::server, false},
    {MessageType::admin_logs_request, "admin_logs_request", Sender::client_to_control, true},
    {MessageType::admin_logs, "admin_logs", Sender::server, false},
    {MessageType::admin_events_request, "admin_events_request", Sender::client_to_control, true},
    {MessageType::admin_events, "admin_events", Sender::server, false},
    {MessageType::admin_posture_request, "admin_posture_request", Sender::client_to_control, true},
    {MessageType::admin_posture, "admin_posture", Sender::server, false},
    {MessageType::admin_daemon_request, "admin_daemon_request", Sender::client_to_control, true},
    {MessageType::admin_daemon, "admin_daemon", Sender::server, false},
    {MessageType::admin_verify, "admin_verify", Sender::client_to_control, true},
    {MessageType::admin_verification, "admin_verification", Sender::server, false},
    {MessageType::admin_verifications_request, "admin_verifications_request",
     Sender::client_to_control, true},
    {MessageType::admin_verifications, "admin_verifications", Sender::server, false},
}};

// Null for an unknown type.
[[nodiscard]] const MessageRule* find_message_rule(std::uint16_t type) noexcept;

struct ErrorMessage {
  static constexpr MessageType type = MessageType::error;
  std::uint16_t code = 0;
  std::string message;
  std::string tenant;
  std::string field;
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string hint;
  std::uint32_t retry_after_ms = 0;

  [[nodiscard]] static ErrorMessage from(const Error& error);
  // An unknown code becomes ErrorCode::internal.
  [[nodiscard]] Error to_error() const;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("code", self.code);
    visit("message", self.message, Bound{1024});
    visit("tenant", self.tenant, Bound{64});
    visit("field", self.field, Bound{128});
    visit("file", self.file, Bound{512});
    visit("line", self.line);
    visit("column", self.column);
    visit("hint", self.hint, Bound{1024});
    visit("retry_after_ms", self.retry_after_ms);
  }
};

// The first frame on an accepted socket, from the worker or control.
struct Welcome {
  static constexpr MessageType type = MessageType::welcome;
  std::uint16_t version = 1;
  std::uint64_t generation = 0;
  std::uint32_t dimension = 0;   // of embeddings; 0 from control
  std::uint32_t ring_bytes = 0;  // data bytes of each ring if the ring is chosen; 0: stream only
  std::uint32_t max_batch_size = 0;  // items of one message
  std::string encoder;               // "hash", or what embeddings must come from

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("version", self.version);
    visit("generation", self.generation);
    visit("dimension", self.dimension);
    visit("ring_bytes", self.ring_bytes);
    visit("max_batch_size", self.max_batch_size);
    visit("encoder", self.encoder, Bound{64});
  }
};

enum class Transport : std::uint8_t { stream = 0, ring = 1 };
[[nodiscard]] constexpr bool is_valid(Transport value) noexcept { return value <= Transport::ring; }

// Client → worker, its first frame. With `ring` the frame carries one descriptor: the client's
// sealed memfd.
struct ChooseTransport {
  static constexpr MessageType type = MessageType::choose_transport;
  Transport transport = Transport::stream;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("transport", self.transport);
  }
};

// Worker → client. With `ring` it carries two descriptors: the worker's sealed memfd, then the
// eventfd that the client writes to wake the worker. Every later frame travels in the rings; the
// socket only says EOF.
struct RingReady {
  static constexpr MessageType type = MessageType::ring_ready;
  Transport transport = Transport::stream;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("transport", self.transport);
  }
};

enum class GoawayReason : std::uint8_t {
  stopping = 0,
  restarting = 1,
  replaced = 2,
  removed = 3,
  sleeping = 4,  // a pooled worker needs the memory: come again when there is work
};
[[nodiscard]] constexpr bool is_valid(GoawayReason value) noexcept {
  return value <= GoawayReason::sleeping;
}

// The worker takes no request after this one: whatever the client sent with a higher place in its
// order and got no answer for never ran.
struct Goaway {
  static constexpr MessageType type = MessageType::goaway;
  GoawayReason reason = GoawayReason::stopping;
  std::uint64_t last_request_id = 0;  // the last one taken on this attachment; 0: none

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("reason", self.reason);
    visit("last_request_id", self.last_request_id);
  }
};

struct Ping {
  static constexpr MessageType type = MessageType::ping;
  template <class Self, class Visitor>
  static void describe(Self&, Visitor&) {}
};
struct Pong {
  static constexpr MessageType type = MessageType::pong;
  template <class Self, class Visitor>
  static void describe(Self&, Visitor&) {}
};

}  // namespace tenantd
