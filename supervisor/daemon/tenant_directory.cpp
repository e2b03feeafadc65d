#include "supervisor/daemon/tenant_directory.h"

#include <unistd.h>

#include <utility>

#include "shared/base/clock.h"
#include "shared/os/process.h"
#include "supervisor/config/reserved_id.h"
#include "supervisor/config/secure_file.h"
#include "supervisor/config/tenant_file_name.h"
#include "supervisor/launch/data_place.h"

namespace tenantd {
namespace {

std::string summary(const std::vector<Error>& errors) {
  std::string text = errors.front().describe();
  if (errors.size() > 1) text += " (and " + std::to_string(errors.size() - 1) + " more)";
  return text;
}

}  // namespace

TenantDirectory::TenantDirectory(Loop& loop, const DaemonConfig& config,
                                 const AccountResolver& accounts, Tenants& tenants,
                                 PooledTenants& pooled, const PoolMembers& members,
                                 TenantDirectoryCallbacks callbacks)
    : config_(config),
      accounts_(accounts),
      tenants_(tenants),
      pooled_(pooled),
      members_(members),
      callbacks_(std::move(callbacks)),
      watch_(loop, config.tenants_dir,
             {.is_wanted = [](std::string_view name) { return is_tenant_file_name(name); },
              .on_file = [this](const std::string& name) { read_file(name); },
              .on_settled = [this](const std::vector<std::string>& gone) { settle(gone); },
              .on_problem =
                  [this](const std::string& problem) {
                    set_problem(problem);
                    if (!problem.empty()) first_scan_done();
                  }}) {}

void TenantDirectory::rescan(bool all) { watch_.rescan(all); }

void TenantDirectory::set_problem(const std::string& problem) {
  if (problem == problem_) return;
  problem_ = problem;
  callbacks_.on_problem(problem_);
}

void TenantDirectory::first_scan_done() {
  if (std::exchange(first_scan_done_, true)) return;
  callbacks_.on_first_scan();
}

bool TenantDirectory::open_directory() {
  if (directory_) return true;
  auto opened = open_secure_directory(config_.tenants_dir, ::geteuid());
  if (!opened) {
    set_problem(opened.error().describe());
    return false;
  }
  set_problem({});
  directory_ = std::move(*opened);
  return true;
}

void TenantDirectory::read_file(const std::string& name) {
  const auto id = tenant_id_of_file(name);
  if (!id) return;
  if (!first_scan_done_) present_.insert(*id);
  held_.erase(*id);
  if (!open_directory()) return;  // told again when the directory's mode or owner changes
  auto config = load_tenant_config(directory_.get(), config_.tenants_dir, *id, config_, accounts_);
  if (config) return apply(*id, std::move(*config));
  const ErrorCode code = config.error().front().code;
  if (code == ErrorCode::unavailable) return watch_.recheck(name);
  if (code == ErrorCode::not_found) return;  // gone again: an event follows
  reject(*id, summary(config.error()));
}

void TenantDirectory::apply(const TenantId& id, TenantConfig config) {
  const bool is_pooled = pooled_.find(id) != nullptr;
  if (config.plan != Plan::standard) {
    if (is_pooled || (members_.has(id) && !has_own_data(id))) {
      return reject(id, "plan: a standard tenant cannot become \"" +
                            std::string(plan_name(config.plan)) +
                            "\" in this version: its data is in the pool");
    }
    return tenants_.apply_file(id, std::move(config));
  }
  if (!is_pooled && (has_own_data(id) || !tenants_.forget_invalid(id))) {
    return reject(id,
                  "plan: a tenant with data of its own cannot become \"standard\" in this "
                  "version");
  }
  pooled_.apply_file(id, config);
}

void TenantDirectory::reject(const TenantId& id, const std::string& why) {
  if (is_reserved_id(id.view())) return callbacks_.on_reserved(id, why);
  if (pooled_.find(id) != nullptr) return pooled_.reject_file(id, why);
  tenants_.reject_file(id, why);
}

// A worker of its own has run for it once, if not now.
bool TenantDirectory::has_own_data(const TenantId& id) {
  if (!first_scan_done_) {
    if (!data_at_start_) {
      data_at_start_.emplace();
      for (const auto& place : {config_.state_dir + "/tenants", placed_path(config_.state_dir)}) {
        for (std::string& name : names_in(place)) data_at_start_->insert(std::move(name));
      }
    }
    return data_at_start_->contains(id.str());
  }
  return ::access(data_directory_path(config_.state_dir, id).c_str(), F_OK) == 0;
}

void TenantDirectory::settle(const std::vector<std::string>& removed) {
  directory_.reset();
  std::set<TenantId> gone;
  for (const std::string& name : removed) {
    const auto id = tenant_id_of_file(name);
    if (!id) continue;
    present_.erase(*id);
    gone.insert(*id);
  }
  if (!first_scan_done_) add_unseen(gone);
  present_.clear();
  data_at_start_.reset();
  if (!gone.empty()) {
    const std::uint64_t now_ms = monotonic_ns() / 1'000'000;
    while (!recent_removals_ms_.empty() &&
           recent_removals_ms_.front() + removal_window_ms < now_ms) {
      recent_removals_ms_.pop_front();
    }
    const std::size_t together = recent_removals_ms_.size() + held_.size() + gone.size();
    const std::size_t total = known_tenants() + recent_removals_ms_.size();
    if (config_.removal_confirmation.needed(together, total)) {
      held_.merge(gone);
      callbacks_.on_removal_held(held_.size());
    } else {
      recent_removals_ms_.insert(recent_removals_ms_.end(), gone.size(), now_ms);
      remove_all(gone);
    }
  }
  pooled_.settle();
  first_scan_done();
}

std::size_t TenantDirectory::known_tenants() const {
  return tenants_.all().size() + pooled_.all().size();
}

void TenantDirectory::add_unseen(std::set<TenantId>& gone) const {
  for (const auto& [id, tenant] : tenants_.all()) {
    if (!present_.contains(id) && !is_reserved_id(id.view())) gone.insert(id);
  }
}

void TenantDirectory::remove_all(const std::set<TenantId>& tenants) {
  for (const TenantId& id : tenants) {
    if (is_reserved_id(id.view())) continue;
    pooled_.remove_file(id);
    members_.remove(id);
    tenants_.remove_file(id);
  }
}

std::size_t TenantDirectory::confirm_removal() {
  const std::set<TenantId> held = std::exchange(held_, {});
  remove_all(held);
  return held.size();
}

}  // namespace tenantd
