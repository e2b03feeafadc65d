// One object for all of a program's threads and tenants: clients are lent, and kept attached for
// the next borrower.
//
// Runs in: the user's program, in any number of threads. A lock is taken to borrow and to give
// back, none for a call: keep a lease for a row of calls. Bounded: clients of a tenant, idle ones
// of all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tenantd/client.h"

namespace tenantd {

namespace client {
class PoolState;
}

struct PoolOptions {
  ConnectOptions connect;
  std::size_t max_per_tenant = 8;  // lent at once; the next borrower waits
  std::size_t max_idle = 64;       // kept attached, of all tenants together; the oldest goes first
};

class ClientPool {
 public:
  // A borrowed client. Given back by its destructor; may outlive the pool.
  class Lease {
   public:
    Lease(Lease&&) noexcept;
    Lease& operator=(Lease&&) noexcept;
    ~Lease();
    [[nodiscard]] Client& operator*() noexcept { return *client_; }
    [[nodiscard]] Client* operator->() noexcept { return &*client_; }
    [[nodiscard]] const std::string& tenant() const noexcept { return tenant_; }

   private:
    friend class ClientPool;
    Lease(std::shared_ptr<client::PoolState> state, std::string tenant, Client client) noexcept;
    void give_back() noexcept;
    std::shared_ptr<client::PoolState> state_;
    std::string tenant_;
    std::optional<Client> client_;
  };

  // Attaches to nobody yet. Error: internal with errno.
  [[nodiscard]] static Result<ClientPool> open(PoolOptions options = {});
  ClientPool(ClientPool&&) noexcept;
  ClientPool& operator=(ClientPool&&) noexcept;
  ~ClientPool();

  // An idle client of this tenant, or a fresh one. Waits while max_per_tenant are lent, at most
  // timeout_ms (0: the default). Errors: resource_exhausted (none came back in time), those of
  // Client::open, unsupported (in a forked child).
  [[nodiscard]] Result<Lease> acquire(std::string_view tenant, std::uint64_t timeout_ms = 0);

  struct Usage {
    std::size_t lent = 0;
    std::size_t idle = 0;
  };
  [[nodiscard]] Usage usage() const;

 private:
  explicit ClientPool(std::shared_ptr<client::PoolState> state) noexcept;
  std::shared_ptr<client::PoolState> state_;
};

}  // namespace tenantd
