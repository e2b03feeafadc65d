// The outside probes of files: whose they are and who else could reach them.
//
// Runs in: the supervisor. Trusts no name, mode or link that it finds. Each call is bounded: at
// most max_entries of a directory are looked at in one.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <memory>
#include <string>

#include "shared/contract/shards.h"
#include "shared/contract/verification.h"
#include "supervisor/launch/data_directory.h"
#include "supervisor/process/run_record.h"

namespace tenantd {

// What a probe found.
struct Finding {
  ProbeOutcome outcome = ProbeOutcome::failed;
  std::string evidence;
};
[[nodiscard]] inline Finding passed(std::string evidence) {
  return {ProbeOutcome::passed, std::move(evidence)};
}
[[nodiscard]] inline Finding failed(std::string evidence) {
  return {ProbeOutcome::failed, std::move(evidence)};
}

inline constexpr std::size_t max_entries = 512;

// The tenant's directory: a directory and no link, mode 0700, of a uid that tenants may have, below
// a directory of the supervisor's own.
[[nodiscard]] Finding probe_data_directory(const std::string& path, const UidAllocator& uids);
// What is in it: regular files and directories of its owner, one link each, nothing for group and
// others.
[[nodiscard]] Finding probe_data_files(const std::string& path);
// A pooled worker's: directories of exactly `shards`, each as above.
[[nodiscard]] Finding probe_shards(const std::string& path, const ShardSet& shards);
// The record at `path` of a worker with this pid and generation; pid 0: none runs.
[[nodiscard]] Finding probe_run_record(const std::string& path, pid_t pid,
                                       std::uint64_t generation);

// Whether another entry of `parent`, or control, has the uid of `directory`, which may be one of
// them: as many entries as there are tenants, so in slices.
class UidScan {
 public:
  UidScan(const std::string& parent, const std::string& directory, const UidAllocator& uids);
  // Looks at up to max_entries more. True: finding() is final.
  [[nodiscard]] bool step();
  [[nodiscard]] const Finding& finding() const noexcept { return finding_; }

 private:
  struct Close {
    void operator()(DIR* directory) const noexcept { (void)::closedir(directory); }
  };
  [[nodiscard]] bool conclude(Finding finding);

  std::string own_;  // its name, if it is one of them
  uid_t uid_ = 0;
  std::size_t seen_ = 0;
  std::unique_ptr<DIR, Close> directory_;
  Finding finding_;
};

}  // namespace tenantd
