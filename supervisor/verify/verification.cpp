#include "supervisor/verify/verification.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace tenantd {
namespace {

// Of other workers' namespaces in one turn: seven links of /proc each.
constexpr std::size_t max_neighbours = 128;

std::string plan_text(const TenantConfig& config) {
  const auto level = config.isolation_level.value_or(plan_row(config.plan).default_level);
  return std::string(plan_name(config.plan)) + " (" + std::string(isolation_level_name(level)) +
         ")";
}

std::uint8_t level_of(const Tenant& process) {
  const TenantConfig& config = *process.config;
  return level_bit(config.isolation_level.value_or(plan_row(config.plan).default_level));
}

Finding no_worker(const Tenant& process) {
  const std::string whose = process.config->pool ? process.id.str() : "the tenant";
  return {ProbeOutcome::not_applicable,
          "no worker runs: " + whose + " is " + std::string(phase_name(process.phase))};
}

}  // namespace

std::size_t VerifyReport::count(ProbeOutcome outcome) const noexcept {
  return static_cast<std::size_t>(std::count_if(
      probes.begin(), probes.end(),
      [outcome](const VerifyProbeRecord& probe) { return probe.outcome == outcome; }));
}

std::vector<std::string_view> VerifyReport::failures() const {
  std::vector<std::string_view> names;
  for (const VerifyProbeRecord& probe : probes) {
    if (probe.outcome == ProbeOutcome::failed) names.push_back(probe.name.view());
  }
  return names;
}

Verification::Verification(const VerificationServices& services, SharedFindings& shared,
                           TenantId tenant, CheckMask checks, LayerSet tolerated,
                           const Freshness& fresh, std::uint64_t first_generation, OnDone on_done)
    : services_(services),
      shared_(shared),
      tenant_(tenant),
      process_id_(tenant),
      checks_(checks),
      tolerated_(tolerated),
      fresh_(fresh),
      generation_(first_generation),
      on_done_(std::move(on_done)),
      findings_(probe_rows().size()),
      idle_(services.probes.loop) {
  if (const Tenant* const process = process_of(services_.known, tenant_)) {
    process_id_ = process->id;
  }
  turn_soon();
}

Verification::~Verification() {
  run_.reset();
  release_row_tenants(DrainReason::removed);
  remove_probe_directory(services_.paths.state_dir, process_id_);
}

void Verification::turn_soon() {
  idle_.start([this] {
    idle_.stop();
    turn();
  });
}

void Verification::turn() {
  const Tenant* const process = process_of(services_.known, tenant_);
  if (process == nullptr || process->id != process_id_) {
    const OnDone on_done = std::exchange(on_done_, nullptr);
    if (services_.known.pooled.find(tenant_) == nullptr) {
      return on_done(fail(ErrorCode::not_found, "the tenant has gone"));
    }
    return on_done(fail(ErrorCode::unavailable, "its shard is on its way to another worker"));
  }
  level_ = level_of(*process);
  if (stage_ == Stage::report) return report(*process);
  if (stage_ == Stage::attempts && !try_next(*process)) return;
  stage_ = work(*process);
  if (stage_ != Stage::rows) turn_soon();
}

Verification::Stage Verification::work(const Tenant& process) {
  switch (stage_) {
    case Stage::files:
      look_at_files(process);
      return uid_scan_ ? Stage::uids : Stage::posture;
    case Stage::uids:
      if (!uid_scan_->step()) return Stage::uids;
      for (std::size_t i = 0; i < findings_.size(); ++i) {
        const ProbeRow& row = probe_rows()[i];
        if (row.source == ProbeSource::files && row.file == FileProbe::unique_uid) {
          find(i, uid_scan_->finding());
        }
      }
      return Stage::posture;
    case Stage::posture:
      return look_at_posture(process);
    case Stage::neighbours:
      return look_at_neighbours(process);
    case Stage::launch:
      return prepare_attempts(process);
    case Stage::attempts:
      return next_row_ < findings_.size() ? Stage::attempts : Stage::plant;
    case Stage::plant:
      return begin_rows(process);
    case Stage::rows:
    case Stage::report:
      break;
  }
  return Stage::report;
}

bool Verification::wanted(const ProbeRow& row) const noexcept {
  return (checks_ & mask_of(row.check)) != 0 && is_promised_at(row, level_);
}

// The first word stands; nobody asks for what is not wanted.
void Verification::find(std::size_t row, Finding finding) {
  if (!wanted(probe_rows()[row]) || findings_[row]) return;
  findings_[row] = std::move(finding);
}

void Verification::find_all(ProbeSource source, const Finding& finding) {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (probe_rows()[i].source == source) find(i, finding);
  }
}

PromiseBounds Verification::bounds_of(const Tenant& process) const {
  PromiseBounds bounds;
  bounds.applied = process.worker ? process.worker->applied_layers()
                                  : services_.probes.launcher.host().available;
  bounds.tolerated = tolerated_;
  bounds.unwanted =
      LayerSet::all().without(required_layers(to_resource_limits(*process.config), true));
  return bounds;
}

// ---- files

void Verification::look_at_files(const Tenant& process) {
  struct stat info {};
  const std::string path = data_path_of(services_.paths.state_dir, process);
  const bool exists = ::lstat(path.c_str(), &info) == 0;
  const PromiseBounds bounds = bounds_of(process);
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    const ProbeRow& row = probe_rows()[i];
    if (row.source != ProbeSource::files || !wanted(row)) continue;
    if (Finding promised = promise_of(row, bounds); promised.outcome != ProbeOutcome::passed) {
      find(i, std::move(promised));
    } else if (row.file == FileProbe::run_record) {
      find(i, look_at_file(row, process));
    } else if (!exists) {
      find(i, {ProbeOutcome::not_applicable, "there is no data yet"});
    } else if (row.file == FileProbe::unique_uid) {
      std::vector<std::string> parents = services_.workforce.storage_roots();
      parents.push_back(services_.paths.state_dir + "/tenants");
      parents.push_back(placed_path(services_.paths.state_dir));
      uid_scan_.emplace(std::move(parents), path, services_.uids);
    } else {
      find(i, look_at_file(row, process));
    }
  }
}

Finding Verification::look_at_file(const ProbeRow& row, const Tenant& process) const {
  const std::string path = data_path_of(services_.paths.state_dir, process);
  if (row.file == FileProbe::data_directory) return probe_data_directory(path, services_.uids);
  if (row.file == FileProbe::data_files) return probe_data_files(path);
  if (row.file == FileProbe::storage_root) {
    return probe_storage_root(path, process.config->physical.storage_root);
  }
  if (!process.worker) return no_worker(process);
  if (row.file == FileProbe::shards) return probe_shards(path, shards_of(process));
  return probe_run_record(services_.paths.record_directory() + "/" + process.id.str() + ".record",
                          process.worker->pid(), process.generation);
}

// ---- the live worker

Verification::Stage Verification::look_at_posture(const Tenant& process) {
  const auto rows = probe_rows();
  const bool any = std::any_of(rows.begin(), rows.end(), [this](const ProbeRow& row) {
    return row.source == ProbeSource::posture && wanted(row);
  });
  if (!any) return Stage::launch;
  if (!process.worker || process.phase != Phase::running) {
    find_all(ProbeSource::posture, no_worker(process));
    return Stage::launch;
  }
  live_pid_ = process.worker->pid();
  live_layers_ = process.worker->applied_layers();
  auto live = look_at_worker(process, services_.workforce, services_.probes.cgroups, tolerated_);
  if (!live) {
    find_all(ProbeSource::posture, {ProbeOutcome::not_applicable, live.error().message});
    return Stage::launch;
  }
  live_ = std::move(*live);
  return Stage::neighbours;
}

Verification::Stage Verification::look_at_neighbours(const Tenant& process) {
  const auto& all = services_.known.own.all();
  auto next = last_neighbour_ ? all.upper_bound(*last_neighbour_) : all.begin();
  for (std::size_t looked = 0; next != all.end() && looked < max_neighbours; ++next) {
    last_neighbour_ = next->first;
    if (!next->second.worker || next->first == process_id_) continue;
    ++looked;
    if (!process.worker) continue;  // it ended meanwhile, as is told in the end
    for (std::string& line : shared_with(live_->posture, *process.worker, next->second)) {
      live_->deviations.push_back(std::move(line));
    }
  }
  if (next != all.end()) return Stage::neighbours;
  conclude_posture(process);
  return Stage::launch;
}

void Verification::conclude_posture(const Tenant& process) {
  const bool replaced =
      !process.worker || process.worker->pid() != live_pid_ || has_ended(live_pid_);
  if (replaced) {
    return find_all(ProbeSource::posture,
                    {ProbeOutcome::not_applicable, "its worker ended meanwhile"});
  }
  PromiseBounds bounds = bounds_of(process);
  bounds.applied = live_layers_;
  std::vector<std::string> duties;
  if (!process.config->physical.program_path.empty()) {
    duties = take_duties_of_program(live_->deviations);
  }
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    const ProbeRow& row = probe_rows()[i];
    if (row.source != ProbeSource::posture) continue;
    Finding promised = promise_of(row, bounds);
    find(i, promised.outcome == ProbeOutcome::passed
                ? without_duties(
                      row, probe_posture(row, live_->posture, live_->expected, live_->deviations),
                      duties)
                : std::move(promised));
  }
}

// ---- the end

void Verification::report(const Tenant& process) {
  VerifyReport report{tenant_, plan_text(*process.config), {}};
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    const ProbeRow& row = probe_rows()[i];
    if (!wanted(row)) continue;
    auto record = make_link_message<VerifyProbeRecord>(0);
    const Finding finding = findings_[i].value_or(failed("it was not looked at"));
    record.check = row.check;
    record.outcome = finding.outcome;
    const bool inside = row.source == ProbeSource::attempt || row.source == ProbeSource::rows;
    record.inside = inside ? 1 : 0;
    record.name.assign_truncated(row.name);
    record.evidence.assign_truncated(finding.evidence);
    report.probes.push_back(record);
  }
  const OnDone on_done = std::exchange(on_done_, nullptr);
  on_done(std::move(report));  // may destroy this
}

}  // namespace tenantd
