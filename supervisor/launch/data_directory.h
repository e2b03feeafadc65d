// Where a tenant's data lives, and whose it is: the uid of a tenant IS the owner of its directory.
//
// Runs in: the supervisor. Trusts no name and no mode that it finds: a symlink, a foreign owner or
// a mode that lets others in refuses the tenant.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"

namespace tenantd {

// The uids that tenants may have. The first is control's.
class UidAllocator {
 public:
  // `count` uids from `first`. Unprivileged: every answer is the process's own uid.
  UidAllocator(uid_t first, std::uint32_t count, bool privileged)
      : first_(first), count_(count), privileged_(privileged) {}

  [[nodiscard]] bool privileged() const noexcept { return privileged_; }
  [[nodiscard]] uid_t control_uid() const noexcept;
  [[nodiscard]] bool may_own(uid_t uid) const noexcept;
  // The lowest uid that owns nothing right below `directories`. Errors: resource_exhausted.
  [[nodiscard]] Result<uid_t> lowest_free(std::span<const std::string> directories) const;

 private:
  uid_t first_;
  std::uint32_t count_;
  bool privileged_;
};

// Where the tenant's data is, or else where it would be without a storage root (data_place.h).
[[nodiscard]] std::string data_directory_path(const std::string& state_dir, const TenantId& tenant);

// Creates <state_dir>/tenants/<id> with mode 0700 and a fresh uid, or checks the one that is there;
// returns its owner, whose gid is the same number when privileged. Errors: permission_denied (a
// symlink, no directory, an owner out of the range, another mode, a uid that another tenant has),
// resource_exhausted (no uid left), internal with errno.
[[nodiscard]] Result<uid_t> prepare_data_directory(const std::string& state_dir,
                                                   const TenantId& tenant,
                                                   const UidAllocator& uids);
// The same for <state_dir>/control, owned by control_uid().
[[nodiscard]] Result<uid_t> prepare_control_directory(const std::string& state_dir,
                                                      const UidAllocator& uids);

// The same for <state_dir>/encoder-compiler, where tenantd-encoder leaves what it makes.
[[nodiscard]] Result<uid_t> prepare_compiler_directory(const std::string& state_dir,
                                                       const UidAllocator& uids);

}  // namespace tenantd
