#include "tenantd/client.h"

#include "client/guard.h"
#include "client/session.h"
#include "client/target.h"

namespace tenantd {

using client::Session;
using client::without_exceptions;

Client::Client(std::unique_ptr<Session> session) noexcept : session_(std::move(session)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::open(std::string_view tenant, ConnectOptions options) {
  return without_exceptions([&]() -> Result<Client> {
    const std::uint64_t timeout_ms = options.timeout_ms;
    auto target = client::tenant_target(tenant, std::move(options));
    if (!target) return tl::unexpected(target.error());
    auto session = Session::open(std::move(*target), timeout_ms);
    if (!session) return tl::unexpected(session.error());
    return Client(std::move(*session));
  });
}

Result<RouteReply> Client::route(const RouteRequest& request, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<RouteReply>(request, timeout_ms); });
}

Result<RouteReply> Client::route_text(std::string_view text) {
  return without_exceptions([&] {
    RouteRequest request;
    request.text = text;
    return session_->call<RouteReply>(request);
  });
}

Result<std::vector<Result<RouteReply>>> Client::route_batch(std::span<const RouteRequest> requests,
                                                            std::uint64_t timeout_ms) {
  return without_exceptions([&]() -> Result<std::vector<Result<RouteReply>>> {
    RouteBatch batch;
    batch.items.assign(requests.begin(), requests.end());
    auto reply = session_->call<RouteBatchReply>(batch, timeout_ms);
    if (!reply) return tl::unexpected(std::move(reply.error()));
    if (reply->items.size() != requests.size()) {
      return fail(ErrorCode::protocol_error, "the worker answered another number of items");
    }
    std::vector<Result<RouteReply>> answers;
    answers.reserve(requests.size());
    for (RouteBatchItem& item : reply->items) {
      if (item.answered) {
        answers.emplace_back(std::move(item.reply));
      } else {
        answers.emplace_back(tl::unexpected(item.error.to_error()));
      }
    }
    return answers;
  });
}

Result<std::vector<Result<RouteReply>>> Client::route_many(std::span<const RouteRequest> requests,
                                                           std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call_many<RouteReply>(requests, timeout_ms); });
}

Result<RoutesEdited> Client::edit_routes(const RoutesEdit& edit, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<RoutesEdited>(edit, timeout_ms); });
}

Result<RoutesPage> Client::routes_page(const RoutesPageRequest& request, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<RoutesPage>(request, timeout_ms); });
}

Result<TenantStats> Client::stats(std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->call<TenantStats>(TenantStatsRequest{}, timeout_ms); });
}

Result<RoutesTried> Client::try_routes(const RoutesTrial& trial, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<RoutesTried>(trial, timeout_ms); });
}

Result<CacheValue> Client::cache_get(std::string_view key, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<CacheValue>(CacheGet{key}, timeout_ms); });
}

Result<CacheChanged> Client::cache_set(std::string_view key, std::string_view value,
                                       std::uint64_t ttl_ms, CacheValueKind kind,
                                       std::uint64_t timeout_ms) {
  return without_exceptions([&] {
    return session_->call<CacheChanged>(CacheSet{key, value, kind, ttl_ms}, timeout_ms);
  });
}

Result<CacheChanged> Client::cache_delete(std::string_view key, std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->call<CacheChanged>(CacheDelete{key}, timeout_ms); });
}

Result<CacheChanged> Client::cache_clear(std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<CacheChanged>(CacheClear{}, timeout_ms); });
}

Result<CacheStats> Client::cache_stats(std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->call<CacheStats>(CacheStatsRequest{}, timeout_ms); });
}

Result<Executions> Client::executions(const ExecutionsRequest& request, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->call<Executions>(request, timeout_ms); });
}

Result<Retention> Client::retention(bool run, std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->call<Retention>(RetentionRequest{run}, timeout_ms); });
}

Status Client::ping(std::uint64_t timeout_ms) {
  return without_exceptions([&]() -> Status {
    const auto pong = session_->call<Pong>(Ping{}, timeout_ms);
    if (!pong) return tl::unexpected(pong.error());
    return {};
  });
}

const Welcome& Client::welcome() const noexcept { return session_->welcome(); }
Transport Client::transport() const noexcept { return session_->transport(); }
const Client::Statistics& Client::statistics() const noexcept { return session_->statistics(); }

}  // namespace tenantd
