#include "tenantd/client_pool.h"

#include <strings.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "client/fork_guard.h"
#include "client/guard.h"

namespace tenantd {
namespace client {

// What leases and the pool share. Invariant: lent_[tenant] ≤ max_per_tenant.
class PoolState {
 public:
  PoolState(PoolOptions options, ForkGuard guard)
      : options_(std::move(options)), guard_(std::move(guard)) {}
  ~PoolState() {
    std::string& token = options_.connect.token;
    ::explicit_bzero(token.data(), token.size());
  }

  // A place for one more of this tenant's, and an idle client if there is one.
  [[nodiscard]] Result<std::optional<Client>> take(const std::string& tenant,
                                                   std::uint64_t timeout_ms) {
    if (auto own = guard_.check(); !own) return tl::unexpected(own.error());
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    std::unique_lock lock(mutex_);
    const auto has_place = [&] {
      return lent_[tenant] < std::max<std::size_t>(options_.max_per_tenant, 1);
    };
    if (!returned_.wait_until(lock, until, has_place)) {
      return fail(ErrorCode::resource_exhausted, "all clients of this tenant are lent",
                  "give leases back sooner, or raise max_per_tenant");
    }
    ++lent_[tenant];
    for (auto idle = idle_.rbegin(); idle != idle_.rend(); ++idle) {
      if (idle->tenant != tenant) continue;
      std::optional<Client> client(std::move(idle->client));
      idle_.erase(std::next(idle).base());
      return client;
    }
    return std::optional<Client>();
  }

  void give_back(const std::string& tenant, std::optional<Client> client) {
    if (!guard_.is_own_process()) return;
    std::optional<Client> surplus;  // detached without the lock
    {
      const std::lock_guard lock(mutex_);
      const auto lent = lent_.find(tenant);
      if (lent != lent_.end() && --lent->second == 0) lent_.erase(lent);
      if (client) idle_.push_back({tenant, std::move(*client)});
      if (idle_.size() > options_.max_idle) {
        surplus = std::move(idle_.front().client);
        idle_.pop_front();
      }
    }
    returned_.notify_all();
  }

  [[nodiscard]] ClientPool::Usage usage() const {
    const std::lock_guard lock(mutex_);
    ClientPool::Usage usage;
    for (const auto& [tenant, lent] : lent_) usage.lent += lent;
    usage.idle = idle_.size();
    return usage;
  }
  [[nodiscard]] const ConnectOptions& connect() const noexcept { return options_.connect; }

 private:
  struct Idle {
    std::string tenant;
    Client client;
  };
  PoolOptions options_;
  ForkGuard guard_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::map<std::string, std::size_t> lent_;
  std::deque<Idle> idle_;  // the oldest first
};

}  // namespace client

using client::PoolState;
using client::without_exceptions;

ClientPool::Lease::Lease(std::shared_ptr<PoolState> state, std::string tenant,
                         Client client) noexcept
    : state_(std::move(state)), tenant_(std::move(tenant)), client_(std::move(client)) {}

ClientPool::Lease::Lease(Lease&& other) noexcept = default;

ClientPool::Lease& ClientPool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  state_ = std::move(other.state_);
  tenant_ = std::move(other.tenant_);
  client_ = std::move(other.client_);
  return *this;
}

ClientPool::Lease::~Lease() { give_back(); }

void ClientPool::Lease::give_back() noexcept {
  if (!state_) return;
  const auto state = std::move(state_);
  const Status given = without_exceptions([&]() -> Status {
    state->give_back(tenant_, std::exchange(client_, std::nullopt));
    return {};
  });
  (void)given;  // without memory the client is closed instead of kept
}

ClientPool::ClientPool(std::shared_ptr<PoolState> state) noexcept : state_(std::move(state)) {}
ClientPool::ClientPool(ClientPool&&) noexcept = default;
ClientPool& ClientPool::operator=(ClientPool&&) noexcept = default;
ClientPool::~ClientPool() = default;

Result<ClientPool> ClientPool::open(PoolOptions options) {
  return without_exceptions([&]() -> Result<ClientPool> {
    auto guard = client::ForkGuard::create();
    if (!guard) return tl::unexpected(guard.error());
    return ClientPool(std::make_shared<PoolState>(std::move(options), std::move(*guard)));
  });
}

Result<ClientPool::Lease> ClientPool::acquire(std::string_view tenant, std::uint64_t timeout_ms) {
  return without_exceptions([&]() -> Result<Lease> {
    ConnectOptions options = state_->connect();
    if (timeout_ms == 0) timeout_ms = options.timeout_ms;
    std::string name(tenant);
    auto taken = state_->take(name, timeout_ms);
    if (!taken) return tl::unexpected(taken.error());
    if (*taken) return Lease(state_, std::move(name), std::move(**taken));
    auto fresh = Client::open(tenant, std::move(options));
    if (!fresh) {
      state_->give_back(name, std::nullopt);
      return tl::unexpected(fresh.error());
    }
    return Lease(state_, std::move(name), std::move(*fresh));
  });
}

ClientPool::Usage ClientPool::usage() const { return state_->usage(); }

}  // namespace tenantd
