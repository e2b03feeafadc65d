#include "supervisor/launch/data_directory.h"

#include <unistd.h>

#include "supervisor/launch/data_place.h"
#include "supervisor/launch/owned_directory.h"

namespace tenantd {
uid_t UidAllocator::control_uid() const noexcept { return privileged_ ? first_ : ::geteuid(); }

bool UidAllocator::may_own(uid_t uid) const noexcept {
  if (!privileged_) return uid == ::geteuid();
  return uid >= first_ && uid - first_ < count_;
}

Result<uid_t> UidAllocator::lowest_free(std::span<const std::string> directories) const {
  if (!privileged_) return ::geteuid();
  std::set<uid_t> used;
  for (const std::string& directory : directories) used.merge(owners_below(directory, ""));
  for (std::uint32_t i = 1; i < count_; ++i) {
    if (!used.contains(first_ + i)) return first_ + i;
  }
  return fail(ErrorCode::resource_exhausted, "no uid is left in the configured range",
              "widen uid_range in tenantd.toml, or delete the data of tenants that are gone");
}

Result<uid_t> prepare_data_directory(const std::string& state_dir, const TenantId& tenant,
                                     const UidAllocator& uids) {
  return prepare_placed_directory(state_dir, {}, tenant, uids);
}

namespace {

Result<uid_t> prepare_own_directory(const std::string& path, const UidAllocator& uids) {
  if (!exists(path)) {
    auto made = make_owned(path, uids.control_uid(), uids.privileged());
    if (!made) return tl::unexpected(made.error());
  }
  const auto owner = check_existing(path, uids);
  if (owner && *owner != uids.control_uid()) {
    return fail(ErrorCode::permission_denied, path + " does not belong to control");
  }
  return owner;
}

}  // namespace

Result<uid_t> prepare_control_directory(const std::string& state_dir, const UidAllocator& uids) {
  return prepare_own_directory(state_dir + "/control", uids);
}

Result<uid_t> prepare_compiler_directory(const std::string& state_dir, const UidAllocator& uids) {
  return prepare_own_directory(state_dir + "/encoder-compiler", uids);
}

}  // namespace tenantd
