// Where the data of one tenant is: with the others', or in a storage root that the host's owner
// offers (another disk). And how it gets there: never by itself.
//
// Runs in: the supervisor. A disk can be missing, and a file can name another root than the one
// that holds the data: in both cases the tenant is refused rather than started empty. So that this
// and its uid are known whatever is mounted, a tenant with data in a root has a note of it:
// <state_dir>/placed/<id>, of the tenant's uid in a directory that only tenantd may enter, whose
// text is the root.
#pragma once

#include <string>
#include <vector>

#include "supervisor/launch/data_directory.h"

namespace tenantd {

struct StorageWish {
  std::string root;                 // empty: below state_dir, with the other tenants'
  std::vector<std::string> others;  // roots that data may be in as well
  std::string fstab = "/etc/fstab";
};

// Where notes of data in roots are.
[[nodiscard]] std::string placed_path(const std::string& state_dir);

// Directories whose entries' owners are uids in use, whatever is mounted.
[[nodiscard]] std::vector<std::string> directories_of_uids(const std::string& state_dir);

// Whether a root can be used now: a directory that only root or tenantd's user may write, no
// symlink leads there, and nothing that fstab mounts on the way is missing. Error:
// permission_denied.
[[nodiscard]] Status check_storage_root(const std::string& root, const std::string& fstab);

// As prepare_data_directory, at the place that is wished for. Errors besides: invalid_config (the
// data is elsewhere, in two places, or where it was last there is none; says which and what to do).
[[nodiscard]] Result<uid_t> prepare_placed_directory(const std::string& state_dir,
                                                     const StorageWish& wish,
                                                     const TenantId& tenant,
                                                     const UidAllocator& uids);

}  // namespace tenantd
