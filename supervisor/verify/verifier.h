// The isolation verifier: who is verified when, one tenant after another.
//
// Runs in: the supervisor. Requests wait in a bounded queue and go first; then come tenants that
// are new, with a worker of their own and then standard ones, then the round over all that the
// timer has begun, while no worker is starting. An idle host runs one timer, and none with the
// interval switched off: a new standard tenant whose worker sleeps waits for no clock.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "supervisor/config/daemon_config.h"
#include "supervisor/verify/newcomers.h"
#include "supervisor/verify/verification.h"

namespace tenantd {

class Verifier {
 public:
  static constexpr std::size_t max_waiting = 64;
  static constexpr std::uint64_t look_again_ms = 1000;

  using OnVerified = std::function<void(const Result<VerifyReport>&)>;
  // Every finished verification, and why it ran: "on request", "onboarding", "timer".
  using OnReport = std::function<void(const VerifyReport&, std::string_view why)>;

  // So many new standard tenants came while as many waited as may: they are not verified.
  using OnLeftOut = std::function<void(std::uint64_t tenants)>;

  Verifier(VerificationServices services, const DaemonConfig& config, OnReport on_report,
           OnLeftOut on_left_out);

  // Answers once, maybe at once: not_found, invalid_config (its file has never been valid),
  // resource_exhausted (too many wait).
  void verify(const TenantId& tenant, CheckMask checks, OnVerified on_verified);
  // The tenant's first worker ever is ready.
  void onboard(const TenantId& tenant);
  // A standard tenant is new: once a pooled worker runs that has its shard.
  void onboard_pooled(const TenantId& tenant);
  // A worker is ready, for whom some new tenant may wait.
  void on_worker_ready();
  void configure(const DaemonConfig& config);
  // Ends what runs, and runs nothing more. Nobody who waits is answered.
  void stop();

 private:
  struct Request {
    TenantId tenant;
    CheckMask checks = 0;
    std::string_view why;
    OnVerified on_verified;
  };
  void start_next();
  void start(Request request);
  [[nodiscard]] std::optional<Request> next_request();
  [[nodiscard]] std::optional<Request> next_newcomer();
  [[nodiscard]] Newcomers::Fitness judge(const TenantId& tenant) const;
  void look_after(std::uint64_t wait_ms);
  [[nodiscard]] std::optional<TenantId> next_of_round();
  void finish(const Result<VerifyReport>& report);
  void arm_round();

  VerificationServices services_;
  SharedFindings shared_;
  AnsweredTenants answered_;
  OnReport on_report_;
  OnLeftOut on_left_out_;
  LayerSet tolerated_;
  VerifyConfig config_;
  std::uint64_t generation_;  // of the next probe process
  std::deque<Request> waiting_;
  std::set<TenantId> new_tenants_;
  Newcomers newcomers_;
  bool round_runs_ = false;
  std::optional<TenantId> last_of_round_;
  std::optional<Request> current_;
  std::unique_ptr<Verification> verification_;
  bool stopped_ = false;
  Timer later_;
  Timer round_;
};

}  // namespace tenantd
