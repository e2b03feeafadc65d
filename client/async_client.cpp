#include "tenantd/async_client.h"

#include "client/async_session.h"
#include "client/guard.h"
#include "client/target.h"

namespace tenantd {

using client::AsyncSession;
using client::without_exceptions;

AsyncClient::AsyncClient(std::unique_ptr<AsyncSession> session) noexcept
    : session_(std::move(session)) {}
AsyncClient::AsyncClient(AsyncClient&&) noexcept = default;
AsyncClient& AsyncClient::operator=(AsyncClient&&) noexcept = default;
AsyncClient::~AsyncClient() = default;

Result<AsyncClient> AsyncClient::open(std::string_view tenant, AsyncOptions options) {
  return without_exceptions([&]() -> Result<AsyncClient> {
    const std::uint64_t timeout_ms = options.connect.timeout_ms;
    options.connect.transport = Transport::stream;
    auto target = client::tenant_target(tenant, std::move(options.connect));
    if (!target) return tl::unexpected(target.error());
    auto session = AsyncSession::open(std::move(*target), timeout_ms,
                                      {options.max_outstanding, options.max_bytes});
    if (!session) return tl::unexpected(session.error());
    return AsyncClient(std::move(*session));
  });
}

int AsyncClient::fd() const noexcept { return session_->fd(); }

Result<AsyncClient::RequestId> AsyncClient::route(const RouteRequest& request,
                                                  Callback<RouteReply> done,
                                                  std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->submit(request, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::edit_routes(const RoutesEdit& edit,
                                                        Callback<RoutesEdited> done,
                                                        std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->submit(edit, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::routes_page(const RoutesPageRequest& request,
                                                        Callback<RoutesPage> done,
                                                        std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->submit(request, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::stats(Callback<TenantStats> done,
                                                  std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->submit(TenantStatsRequest{}, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::cache_get(std::string_view key,
                                                      Callback<CacheValue> done,
                                                      std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->submit(CacheGet{key}, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::cache_set(const CacheSet& request,
                                                      Callback<CacheChanged> done,
                                                      std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->submit(request, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::cache_delete(std::string_view key,
                                                         Callback<CacheChanged> done,
                                                         std::uint64_t timeout_ms) {
  return without_exceptions(
      [&] { return session_->submit(CacheDelete{key}, std::move(done), timeout_ms); });
}

Result<AsyncClient::RequestId> AsyncClient::ping(Callback<Pong> done, std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->submit(Ping{}, std::move(done), timeout_ms); });
}

bool AsyncClient::cancel(RequestId id) { return session_->cancel(id); }

Result<std::size_t> AsyncClient::process() {
  return without_exceptions([&] { return session_->process(); });
}

Result<std::size_t> AsyncClient::wait(std::uint64_t timeout_ms) {
  return without_exceptions([&] { return session_->wait(timeout_ms); });
}

std::size_t AsyncClient::outstanding() const noexcept { return session_->outstanding(); }
const ClientStatistics& AsyncClient::statistics() const noexcept { return session_->statistics(); }

}  // namespace tenantd
