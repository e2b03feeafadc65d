// One verification of one tenant: every probe of the table, in turns of the loop.
//
// Runs in: the supervisor. No turn takes longer than the launch of a process: directories and other
// workers are looked at in slices, probe processes are waited for on the loop. The tenant may
// change or go at any time: it is looked up in every turn.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/verify/live_posture.h"
#include "supervisor/verify/probe_request.h"
#include "supervisor/verify/probe_run.h"
#include "supervisor/verify/shared_findings.h"
#include "supervisor/verify/subject.h"

namespace tenantd {

struct VerificationServices {
  ProbeServices probes;
  KnownTenants known;
  const Workforce& workforce;
  UidAllocator uids;
  InstallationPaths paths;
};

struct VerifyReport {
  TenantId tenant;
  std::string plan;  // "premium (process)"
  std::vector<VerifyProbeRecord> probes;

  [[nodiscard]] std::size_t count(ProbeOutcome outcome) const noexcept;
  [[nodiscard]] std::vector<std::string_view> failures() const;
};

class Verification {
 public:
  // Error: the tenant went away meanwhile. May destroy the verification.
  using OnDone = std::function<void(Result<VerifyReport>)>;

  // `services` and `shared` outlive it; `first_generation`: of its probe processes, which nobody
  // else may use.
  Verification(const VerificationServices& services, SharedFindings& shared, TenantId tenant,
               CheckMask checks, LayerSet tolerated, const Freshness& fresh,
               std::uint64_t first_generation, OnDone on_done);
  ~Verification();
  Verification(const Verification&) = delete;
  Verification& operator=(const Verification&) = delete;

  [[nodiscard]] const TenantId& tenant() const noexcept { return tenant_; }
  // One more than the last generation used.
  [[nodiscard]] std::uint64_t next_generation() const noexcept { return generation_; }

 private:
  enum class Stage : std::uint8_t {
    files,
    uids,
    posture,
    neighbours,
    launch,
    attempts,
    plant,
    rows,  // a process is on its way, and its end goes on
    report
  };

  void turn_soon();
  void turn();
  [[nodiscard]] Stage work(const Tenant& process);
  // Of what was asked for and the tenant's level promises.
  [[nodiscard]] bool wanted(const ProbeRow& row) const noexcept;
  void find(std::size_t row, Finding finding);
  void find_all(ProbeSource source, const Finding& finding);

  [[nodiscard]] PromiseBounds bounds_of(const Tenant& process) const;
  void look_at_files(const Tenant& process);
  [[nodiscard]] Finding look_at_file(const ProbeRow& row, const Tenant& process) const;
  [[nodiscard]] Stage look_at_posture(const Tenant& process);
  [[nodiscard]] Stage look_at_neighbours(const Tenant& process);
  void conclude_posture(const Tenant& process);
  [[nodiscard]] Stage prepare_attempts(const Tenant& process);
  // What probe processes need on the host; once.
  [[nodiscard]] Status prepare_probes(const Tenant& process);
  [[nodiscard]] Status listen_on_abstract_socket();
  // Of a pooled worker: what was found for another of its tenants a moment ago.
  void recall_attempts(const Tenant& process);
  // False: a process is on its way, and its end goes on.
  [[nodiscard]] bool try_next(const Tenant& process);
  void on_probe_end(std::size_t row, const std::optional<SharedPlace>& place, const ProbeEnd& end);
  [[nodiscard]] Stage begin_rows(const Tenant& process);
  [[nodiscard]] std::optional<std::string> no_rows_now(const Tenant& process) const;
  [[nodiscard]] SharedPlace shard_place(const Tenant& process) const;
  [[nodiscard]] Status run_rows(const Tenant& process, RowPhase phase);
  void on_rows_end(const SharedPlace& place, const ProbeEnd& end);
  void conclude_rows(const SharedPlace& place, const ProbeEnd* after);
  void release_row_tenants(DrainReason reason);
  void report(const Tenant& process);

  const VerificationServices& services_;
  SharedFindings& shared_;
  TenantId tenant_;
  TenantId process_id_;  // whose worker is looked at
  CheckMask checks_;
  LayerSet tolerated_;
  Freshness fresh_;  // of what is shared
  std::uint64_t generation_;
  OnDone on_done_;
  Stage stage_ = Stage::files;
  std::uint8_t level_ = 0;
  std::vector<std::optional<Finding>> findings_;  // by row
  std::optional<UidScan> uid_scan_;
  std::optional<LivePosture> live_;
  pid_t live_pid_ = 0;
  LayerSet live_layers_;
  std::optional<TenantId> last_neighbour_;
  std::size_t next_row_ = 0;
  uid_t uid_ = 0;
  bool prepared_ = false;
  ProbeTargets targets_;
  std::uint32_t shard_ = 0;
  std::uint64_t nonce_ = 0;      // of what is planted
  std::optional<ProbeEnd> met_;  // the end of the planted tenants' first phase
  std::array<std::optional<TenantId>, 2> row_tenants_;  // that the worker was told of
  UniqueFd abstract_listener_;
  std::unique_ptr<ProbeRun> run_;
  Idle idle_;  // a timer of 0 ms that starts itself again would get all its turns in one
};

}  // namespace tenantd
