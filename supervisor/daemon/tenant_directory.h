// From the tenants directory to the tenants, each with those of its kind: reads what changed, and
// holds back a mass removal.
//
// Runs in: supervisor. Files may hold anything; the directory may vanish, be swapped or be emptied
// by accident: none of that stops a tenant that runs.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>

#include "supervisor/config/daemon_config.h"
#include "supervisor/config/tenant_config.h"
#include "supervisor/pool/pool_members.h"
#include "supervisor/pool/pooled_tenants.h"
#include "supervisor/tenant/tenants.h"
#include "supervisor/watch/directory_watch.h"

namespace tenantd {

struct TenantDirectoryCallbacks {
  std::function<void()> on_first_scan;  // once: the directory was read, or cannot be
  std::function<void(std::size_t count)> on_removal_held;
  std::function<void(const std::string& problem)> on_problem;  // empty: solved
  // A file of a name that is tenantd's own.
  std::function<void(const TenantId& id, const std::string& why)> on_reserved;
};

class TenantDirectory {
 public:
  // Removals within this time count together: one `rm` may come in several batches.
  static constexpr std::uint64_t removal_window_ms = 2000;

  TenantDirectory(Loop& loop, const DaemonConfig& config, const AccountResolver& accounts,
                  Tenants& tenants, PooledTenants& pooled, const PoolMembers& members,
                  TenantDirectoryCallbacks callbacks);

  // Reads the directory; `all`: unchanged files, too (ceilings may have changed).
  void rescan(bool all);
  // Lets a held mass removal happen. Returns how many tenants it removed.
  std::size_t confirm_removal();
  [[nodiscard]] std::size_t held_removals() const noexcept { return held_.size(); }
  // Empty: all is well.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void read_file(const std::string& name);
  // To the registry of its plan; a change of plan is refused while data lies with the other.
  void apply(const TenantId& id, TenantConfig config);
  void reject(const TenantId& id, const std::string& why);
  [[nodiscard]] bool has_own_data(const TenantId& id);
  [[nodiscard]] std::size_t known_tenants() const;
  void settle(const std::vector<std::string>& removed);
  void remove_all(const std::set<TenantId>& tenants);
  // Survivors whose file went while no supervisor looked.
  void add_unseen(std::set<TenantId>& gone) const;
  void set_problem(const std::string& problem);
  void first_scan_done();
  [[nodiscard]] bool open_directory();

  const DaemonConfig& config_;
  const AccountResolver& accounts_;
  Tenants& tenants_;
  PooledTenants& pooled_;
  const PoolMembers& members_;
  TenantDirectoryCallbacks callbacks_;
  std::string problem_;
  UniqueFd directory_;                    // checked; kept for one batch
  std::unordered_set<TenantId> present_;  // until the first scan is done
  // Names in the directory of the tenants' data, read once for the first scan.
  std::optional<std::unordered_set<std::string>> data_at_start_;
  std::set<TenantId> held_;
  std::deque<std::uint64_t> recent_removals_ms_;
  bool first_scan_done_ = false;
  DirectoryWatch watch_;
};

}  // namespace tenantd
