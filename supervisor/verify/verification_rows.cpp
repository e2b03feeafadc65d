// The part of a verification that has two planted tenants meet in the live worker.
#include <random>
#include <utility>

#include "shared/base/clock.h"
#include "supervisor/verify/row_tenants.h"
#include "supervisor/verify/verification.h"

namespace tenantd {
namespace {

std::uint32_t first_of(const ShardSet& shards) {
  std::uint32_t shard = 0;
  while (shard < max_shards && !shards.has(shard)) ++shard;
  return shard;
}

std::uint64_t random_number() {
  std::random_device random;
  return std::uint64_t{random()} << 32U | random();
}

}  // namespace

std::optional<std::string> Verification::no_rows_now(const Tenant& process) const {
  if (!process.worker || process.phase != Phase::running) {
    return "no worker runs: " + process.id.str() + " is " + std::string(phase_name(process.phase));
  }
  if (!process.worker->shards().has(shard_)) return "its shard is on its way to another worker";
  return std::nullopt;
}

Verification::Stage Verification::begin_rows(const Tenant& process) {
  const auto rows = probe_rows();
  if (met_) {
    const SharedPlace place = shard_place(process);
    if (!no_rows_now(process) && run_rows(process, RowPhase::after)) return Stage::rows;
    conclude_rows(place, nullptr);
    return Stage::report;
  }
  shard_ = services_.known.pooled.find(tenant_) != nullptr
               ? services_.known.pool_workers.shard_of_tenant(tenant_)
               : first_of(shards_of(process));
  if (const auto why = no_rows_now(process)) {
    find_all(ProbeSource::rows, {ProbeOutcome::not_applicable, *why});
    return Stage::report;
  }
  const SharedPlace place = shard_place(process);
  bool any = false;
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (rows[i].source != ProbeSource::rows || !wanted(rows[i])) continue;
    if (auto known = shared_.recall(place, i, monotonic_ms(), fresh_)) find(i, std::move(*known));
    any = any || !findings_[i];
  }
  if (!any) return Stage::report;
  nonce_ = random_number();
  if (Status begun = run_rows(process, RowPhase::meet); !begun) {
    release_row_tenants(DrainReason::removed);
    find_all(ProbeSource::rows, failed("could not be tried: " + begun.error().message));
    return Stage::report;
  }
  return Stage::rows;
}

SharedPlace Verification::shard_place(const Tenant& process) const {
  return {"shard " + shard_directory_name(shard_) + " of " + process.id.str(), process.generation};
}

Status Verification::run_rows(const Tenant& process, RowPhase phase) {
  ProbeRow any;
  any.attempt = ProbeAttempt::rows;
  if (Status ready = prepare_probes(process); !ready) return ready;
  ProbeLaunch launch =
      make_probe_launch(any, services_.workforce.request_for(process_id_, *process.config, uid_),
                        services_.paths, generation_, targets_);
  launch.order.amount = nonce_;
  const std::uint32_t shards = process.config->pool->shard_count;
  RowConnections connections;
  connections.phase = phase;
  live_pid_ = process.worker->pid();
  for (const RowSide side : {RowSide::intruder, RowSide::owner}) {
    const auto at = static_cast<std::size_t>(side);
    connections.ids[at] = row_tenant_id(side, shard_, shards);
    row_tenants_[at] = connections.ids[at];
    auto connected =
        connect_row_tenant(*process.worker, *connections.ids[at], shard_ >= shards ? shard_ : 0);
    if (!connected) return tl::unexpected(connected.error());
    connections.sockets[at] = std::move(*connected);
  }
  ++generation_;
  auto run = ProbeRun::start(
      services_.probes, std::move(launch.request), launch.order,
      [this, place = shard_place(process)](const ProbeEnd& end) { on_rows_end(place, end); },
      std::move(connections));
  if (!run) return tl::unexpected(run.error());
  run_ = std::move(*run);
  return {};
}

void Verification::on_rows_end(const SharedPlace& place, const ProbeEnd& end) {
  const bool more = !met_ && end.error;
  release_row_tenants(more ? DrainReason::replaced : DrainReason::removed);
  run_.reset();
  if (more) {  // it came to its end: the second phase follows
    met_ = end;
    stage_ = Stage::plant;
  } else {
    const bool second = met_.has_value();
    if (!second) met_ = end;
    conclude_rows(place, second ? &end : nullptr);
    stage_ = Stage::report;
  }
  turn_soon();
}

// What is stored is as it was said to be, or it is not: the second phase has the last word.
void Verification::conclude_rows(const SharedPlace& place, const ProbeEnd* after) {
  const Tenant* const process = process_of(services_.known, tenant_);
  const bool same = process != nullptr && process->worker && process->worker->pid() == live_pid_ &&
                    process->phase == Phase::running && !has_ended(live_pid_);
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    const ProbeRow& row = probe_rows()[i];
    if (row.source != ProbeSource::rows) continue;
    Finding finding = judge_row(row, *met_);
    const bool stored = row.row == RowProbe::rows_listed || row.row == RowProbe::rows_removed;
    if (stored && finding.outcome == ProbeOutcome::passed && met_->error) {
      Finding then = after == nullptr ? failed("inconclusive: what is stored was not looked at")
                                      : judge_row(row, *after);
      if (then.outcome == ProbeOutcome::passed) then.evidence = finding.evidence + "; stored so";
      finding = std::move(then);
    }
    if (finding.outcome == ProbeOutcome::failed && !same) {
      finding = {ProbeOutcome::not_applicable, "its worker ended meanwhile"};
    }
    shared_.keep(place, i, finding, monotonic_ms());
    find(i, SharedFindings::said_of(place, std::move(finding)));
  }
}

// Between the phases they are only forgotten; in the end their rows go.
void Verification::release_row_tenants(DrainReason reason) {
  const Tenant* const process = services_.known.own.find(process_id_);
  for (auto& id : row_tenants_) {
    const auto released = std::exchange(id, std::nullopt);
    if (!released || process == nullptr || !process->worker) continue;
    if (process->worker->pid() == live_pid_) {
      process->worker->release_tenant(*released, reason);
    }
  }
}

}  // namespace tenantd
