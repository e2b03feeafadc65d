// Commands of the control process, answered one after another.
//
// Runs in: supervisor. Control is confined but not trusted with more than these verbs: each command
// is validated, the queue is bounded, and an answer is only begun when the link has room for all of
// it.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "shared/contract/control_link.h"
#include "shared/loop/loop.h"
#include "supervisor/pool/pooled_tenants.h"
#include "supervisor/tenant/tenants.h"

namespace tenantd {

// What commands reach, beside the tenants.
struct CommandTargets {
  Tenants& tenants;
  PooledTenants& pooled;
  const PoolWorkers& pool_workers;
  std::function<DaemonRecord()> daemon_record;
  std::function<void()> reload;
  std::function<std::size_t()> confirm_removal;  // how many tenants it removes
  std::function<Result<PostureRecord>(const Tenant&)> posture;
  std::function<bool()> shared_uid;
  // What a verification found, and the tenant's plan.
  using OnVerified = std::function<void(const Result<std::vector<VerifyProbeRecord>>& probes,
                                        const std::string& plan)>;
  // Answers once, seconds later or at once.
  std::function<void(const TenantId&, CheckMask, OnVerified)> verify;
};

class CommandQueue {
 public:
  static constexpr std::size_t max_commands = 64;
  static constexpr std::uint32_t max_page = 64;
  static constexpr std::uint64_t status_wait_ms = 100;
  static constexpr std::uint64_t look_again_ms = 5;

  // How answers travel; the header is filled in by the sender.
  struct Answers {
    std::function<void(const TenantRecord&)> tenant;
    std::function<void(const PostureRecord&)> posture;
    std::function<void(const VerifyProbeRecord&)> probe;
    std::function<void(const CommandDone&)> done;
    std::function<std::size_t()> queued;  // messages that the link has not taken yet
  };

  CommandQueue(Loop& loop, CommandTargets targets, Answers answers);
  // A parsed message. False: malformed, its sender misbehaves.
  [[nodiscard]] bool take(const Command& command);
  // The control process is gone, and who asked with it.
  void clear();

 private:
  void work();
  [[nodiscard]] bool begin(const Command& command);  // false: wait for fresh statuses
  void answer(const Command& command);
  void answer_tenants(const Command& command);
  void answer_one(const Command& command);
  void begin_verification(const Command& command);
  void answer_verified();
  void finish(const Command& command, const Status& status, const std::string& message = {});
  // A tenant of either kind. `tenant`: with a worker of its own, or the pooled worker that has it,
  // which may be null. `pooled`: null unless it is a standard tenant.
  struct Listed {
    TenantId id;
    const Tenant* tenant = nullptr;
    const PooledTenant* pooled = nullptr;
    [[nodiscard]] bool runs() const { return tenant != nullptr && tenant->phase == Phase::running; }
  };
  [[nodiscard]] Listed listed(const TenantId& id, const PooledTenant& pooled) const;
  // The tenants that a list or show is about, in the order of their ids.
  [[nodiscard]] std::vector<Listed> page_of(const Command& command, bool& more) const;
  [[nodiscard]] TenantRecord record_of(const Listed& one) const;
  [[nodiscard]] bool statuses_fresh(const Command& command) const;

  CommandTargets targets_;
  Answers answers_;
  // A verification that is over, and waits for room on the link.
  struct Verified {
    Command command;
    Result<std::vector<VerifyProbeRecord>> probes;
    std::string plan;
  };

  std::deque<Command> commands_;
  std::deque<Verified> verified_;      // bounded by the verifier's queue
  std::uint64_t control_process_ = 0;  // how many have gone: a late answer is nobody's
  bool begun_ = false;
  std::uint64_t asked_ms_ = 0;
  Timer timer_;
};

}  // namespace tenantd
