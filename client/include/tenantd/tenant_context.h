// A place in the program in which everything is one tenant's.
//
// Runs in: the user's program. Routes are reached through a context only, and a context is of one
// tenant for its life, bound by the supervisor: there is no parameter with which to name another.
// enforce() makes a function one that cannot be called outside: without a context as its first
// argument the call does not compile.
//
//   auto execute_route = enforce([](TenantContext& tenant, std::string_view query) {
//     return tenant.route_text(query);
//   });
//   auto acme = TenantContext::enter(pool, "acme-corp");
//   execute_route(*acme, "where is my invoice?");
#pragma once

#include <concepts>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tenantd/client_pool.h"

namespace tenantd {

class TenantContext {
 public:
  // Borrows a client of the pool's until the context goes. Errors: ClientPool::acquire's.
  [[nodiscard]] static Result<TenantContext> enter(ClientPool& pool, std::string_view tenant,
                                                   std::uint64_t timeout_ms = 0) {
    auto lease = pool.acquire(tenant, timeout_ms);
    if (!lease) return tl::unexpected(lease.error());
    return TenantContext(std::move(*lease));
  }

  [[nodiscard]] std::string_view tenant() const noexcept { return lease_.tenant(); }
  // As Client's.
  [[nodiscard]] Result<RouteReply> route(const RouteRequest& request) {
    return lease_->route(request);
  }
  [[nodiscard]] Result<RouteReply> route_text(std::string_view text) {
    return lease_->route_text(text);
  }
  [[nodiscard]] Result<RoutesEdited> edit_routes(const RoutesEdit& edit) {
    return lease_->edit_routes(edit);
  }
  [[nodiscard]] Result<RoutesPage> routes_page(const RoutesPageRequest& request) {
    return lease_->routes_page(request);
  }
  [[nodiscard]] Result<TenantStats> stats() { return lease_->stats(); }
  [[nodiscard]] Result<CacheValue> cache_get(std::string_view key) {
    return lease_->cache_get(key);
  }
  [[nodiscard]] Result<CacheChanged> cache_set(std::string_view key, std::string_view value,
                                               std::uint64_t ttl_ms = 0) {
    return lease_->cache_set(key, value, ttl_ms);
  }
  [[nodiscard]] Result<CacheChanged> cache_delete(std::string_view key) {
    return lease_->cache_delete(key);
  }
  [[nodiscard]] Client& client() noexcept { return *lease_; }

 private:
  explicit TenantContext(ClientPool::Lease lease) noexcept : lease_(std::move(lease)) {}
  ClientPool::Lease lease_;
};

template <class Function>
class Enforced {
 public:
  explicit Enforced(Function function) : function_(std::move(function)) {}

  template <class... Arguments>
  requires std::invocable<Function&, TenantContext&, Arguments...>
  decltype(auto) operator()(TenantContext& context, Arguments&&... arguments) {
    return std::invoke(function_, context, std::forward<Arguments>(arguments)...);
  }

 private:
  Function function_;
};

// `function` takes a TenantContext& first.
template <class Function>
[[nodiscard]] auto enforce(Function&& function) {
  return Enforced<std::decay_t<Function>>(std::forward<Function>(function));
}

}  // namespace tenantd
