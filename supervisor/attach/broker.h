// From a valid hello to a worker's hands: who may, where to, now or a little later.
//
// Runs in: supervisor. The accepted socket is passed on and the supervisor's copy closed; while a
// worker starts, sockets wait in a bounded queue of their tenant.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "shared/contract/link.h"
#include "shared/loop/loop.h"
#include "shared/os/fd.h"
#include "supervisor/attach/authorise.h"
#include "supervisor/attach/hello_reception.h"

namespace tenantd {

// What the broker asks of the rest of the supervisor.
class AttachTargets {
 public:
  enum class Readiness { now, wait };

  AttachTargets() = default;
  AttachTargets(const AttachTargets&) = delete;
  AttachTargets& operator=(const AttachTargets&) = delete;
  virtual ~AttachTargets() = default;

  // Null: there is no such tenant, or its file has never been valid.
  [[nodiscard]] virtual const AccessConfig* access_of(const TenantId& tenant) = 0;
  // Wakes a sleeping worker. Error: cannot be attached to now, with what to tell the client.
  [[nodiscard]] virtual Result<Readiness> request_worker(const TenantId& tenant) = 0;
  // Error: the socket could not be handed over (it is closed then).
  [[nodiscard]] virtual Status hand_to_worker(const TenantId& tenant, Attach attach,
                                              UniqueFd socket) = 0;
  [[nodiscard]] virtual Status hand_to_control(Attach attach, UniqueFd socket) = 0;
};

class Broker {
 public:
  static constexpr std::size_t max_waiting_per_tenant = 128;
  static constexpr std::size_t max_waiting = 4096;
  static constexpr std::uint64_t max_wait_ms = 10'000;
  static constexpr std::uint32_t retry_after_ms = 250;

  Broker(Loop& loop, AttachTargets& targets, OperatorRules rules, HelloCounters& counters);

  void on_hello(UniqueFd connection, const CheckedHello& hello, const PeerIdentity& peer);
  // The tenant's worker is ready: those who wait are handed over.
  void flush(const TenantId& tenant);
  // It will not be for now: those who wait are told why.
  void refuse_waiting(const TenantId& tenant, const Error& error);
  // Of those that somebody waits for.
  [[nodiscard]] std::vector<TenantId> waiting_tenants() const;
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_count_; }

 private:
  struct Waiting {
    Attach attach;
    UniqueFd socket;
    std::uint64_t deadline_ms = 0;
  };
  void to_control(UniqueFd connection, Attach attach);
  void to_tenant(const TenantId& tenant, UniqueFd connection, Attach attach);
  void wait(const TenantId& tenant, UniqueFd connection, Attach attach);
  void deny(int socket, const CheckedHello& hello, const PeerIdentity& peer, bool exists);
  void hand_over(const TenantId& tenant, UniqueFd connection, const Attach& attach);
  void arm_timer();
  void expire();

  AttachTargets& targets_;
  OperatorRules rules_;
  HelloCounters& counters_;
  std::uint64_t next_attachment_id_ = 1;
  std::map<TenantId, std::deque<Waiting>> waiting_;  // each queue in order of deadline
  std::size_t waiting_count_ = 0;
  Timer timer_;
};

}  // namespace tenantd
