// The client library: route requests to a tenant's worker, and operate the daemon.
//
// Runs in: the user's program. Synchronous, no threads, no event loop; throws no exception and
// raises no SIGPIPE. A call ends within its timeout (plus a few ms). When a worker dies or is
// replaced the library attaches again, with backoff, within the call's deadline: the caller sees a
// pause. Requests that are safe to run twice are sent again; others only if they provably never
// ran, else the error is `unavailable` and says so. Objects are not thread-safe: open one a
// thread, or share a ClientPool (client_pool.h). In a forked child every call is `unsupported`.
// Waiting on a descriptor instead of in a call: async_client.h. From C: tenantd.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/protocol/admin_messages.h"
#include "shared/protocol/cache_messages.h"
#include "shared/protocol/history_messages.h"
#include "shared/protocol/messages.h"
#include "shared/protocol/routing_messages.h"
#include "shared/protocol/stats_messages.h"
#include "shared/protocol/trial_messages.h"
#include "tenantd/latency_histogram.h"

namespace tenantd {

namespace client {
class Session;
}

struct ConnectOptions {
  std::string socket_path = "/run/tenantd/tenantd.sock";
  std::string token;  // 16 to 64 raw bytes, or empty: the process's uid and groups speak
  Transport transport = Transport::ring;  // stream where the worker offers no ring
  std::uint64_t timeout_ms = 5000;        // of a call that names none; 0: this default
};

// Counts since open(), for people and tests.
struct ClientStatistics {
  std::uint64_t calls = 0;
  std::uint64_t reconnects = 0;    // attachments after the first
  std::uint64_t resends = 0;       // requests sent again
  std::uint64_t timeouts = 0;      // calls that ended with deadline_exceeded
  std::uint64_t late_answers = 0;  // answers that came after their call had ended
  std::uint64_t goaways = 0;
  LatencyHistogram latency;  // of calls that were answered, from the call to the answer
};

// An attachment to one tenant. In a moved-from Client only destruction and assignment are allowed.
class Client {
 public:
  using Statistics = ClientStatistics;

  // Attaches and waits for the worker's welcome, at most options.timeout_ms. The token is kept, for
  // reconnecting, in memory that is wiped when the Client goes. Errors: invalid_argument (tenant,
  // token, path), not_found, permission_denied, quarantined, unavailable, unsupported (no common
  // version), protocol_error.
  [[nodiscard]] static Result<Client> open(std::string_view tenant, ConnectOptions options = {});
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // timeout_ms 0: the default. Errors of every call: deadline_exceeded, unavailable,
  // protocol_error, invalid_argument (a field over its bound is named), those of open() when it had
  // to attach again, and the worker's own.
  [[nodiscard]] Result<RouteReply> route(const RouteRequest& request, std::uint64_t timeout_ms = 0);
  // Up to welcome().max_batch_size requests in one frame and from one snapshot, each with its own
  // answer or error, in order: the cheapest way to ask much at once. Errors of the whole also:
  // resource_exhausted (the answers do not fit a frame).
  [[nodiscard]] Result<std::vector<Result<RouteReply>>> route_batch(
      std::span<const RouteRequest> requests, std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RouteReply> route_text(std::string_view text);
  // Many requests sent together, for the price of few wake-ups; the answers stand in the requests'
  // order, an error in the place of each that failed. One timeout for all.
  [[nodiscard]] Result<std::vector<Result<RouteReply>>> route_many(
      std::span<const RouteRequest> requests, std::uint64_t timeout_ms = 0);
  // Not sent twice unless it never ran.
  [[nodiscard]] Result<RoutesEdited> edit_routes(const RoutesEdit& edit,
                                                 std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<RoutesPage> routes_page(const RoutesPageRequest& request,
                                               std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<TenantStats> stats(std::uint64_t timeout_ms = 0);
  // What would be answered with other settings; changes nothing.
  [[nodiscard]] Result<RoutesTried> try_routes(const RoutesTrial& trial,
                                               std::uint64_t timeout_ms = 0);
  // The tenant's cache in its worker's memory, which all its clients share; a new worker begins
  // with an empty one. A key that is not there is an answer (found false). Errors besides:
  // resource_exhausted (set: alone it is over the tenant's bounds).
  [[nodiscard]] Result<CacheValue> cache_get(std::string_view key, std::uint64_t timeout_ms = 0);
  // ttl_ms 0: it stays until there is no room.
  [[nodiscard]] Result<CacheChanged> cache_set(std::string_view key, std::string_view value,
                                               std::uint64_t ttl_ms = 0,
                                               CacheValueKind kind = CacheValueKind::bytes,
                                               std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<CacheChanged> cache_delete(std::string_view key,
                                                  std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<CacheChanged> cache_clear(std::uint64_t timeout_ms = 0);
  [[nodiscard]] Result<CacheStats> cache_stats(std::uint64_t timeout_ms = 0);
  // A page of what was routed, newest first; see history_messages.h for the next one. For operators
  // only: permission_denied.
  [[nodiscard]] Result<Executions> executions(const ExecutionsRequest& request,
                                              std::uint64_t timeout_ms = 0);
  // What the tenant's history holds, and what was deleted of it. With `run` it deletes some of what
  // is due first. For operators only: permission_denied.
  [[nodiscard]] Result<Retention> retention(bool run = false, std::uint64_t timeout_ms = 0);
  [[nodiscard]] Status ping(std::uint64_t timeout_ms = 0);

  [[nodiscard]] const Welcome& welcome() const noexcept;  // of the last attachment
  [[nodiscard]] Transport transport() const noexcept;     // agreed at the last attachment
  [[nodiscard]] const Statistics& statistics() const noexcept;

 private:
  explicit Client(std::unique_ptr<client::Session> session) noexcept;
  std::unique_ptr<client::Session> session_;
};

// An attachment to control: for root, the daemon's own user and its admin group. options.transport
// is not used. Errors as Client's.
class AdminClient {
 public:
  [[nodiscard]] static Result<AdminClient> open(ConnectOptions options = {});
  AdminClient(AdminClient&&) noexcept;
  AdminClient& operator=(AdminClient&&) noexcept;
  ~AdminClient();

  [[nodiscard]] Result<AdminTenants> tenants(const AdminTenantsRequest& request);
  [[nodiscard]] Result<AdminDone> restart(std::string_view tenant);
  [[nodiscard]] Result<AdminDone> reload(bool confirm_removal);
  [[nodiscard]] Result<AdminLogs> logs(const AdminLogsRequest& request);
  [[nodiscard]] Result<AdminEvents> events(const AdminEventsRequest& request);
  [[nodiscard]] Result<AdminPosture> posture(std::string_view tenant);
  [[nodiscard]] Result<AdminDaemon> daemon();
  // Tries and looks at what the tenant's plan promises; may take seconds, more while others are
  // verified: give the connection a long timeout. Errors: not_found, invalid_config,
  // resource_exhausted.
  [[nodiscard]] Result<AdminVerification> verify(const AdminVerify& request);
  // What earlier verifications found.
  [[nodiscard]] Result<AdminVerifications> verifications(const AdminVerificationsRequest& request);

 private:
  explicit AdminClient(std::unique_ptr<client::Session> session) noexcept;
  std::unique_ptr<client::Session> session_;
};

}  // namespace tenantd
