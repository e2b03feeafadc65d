#include "supervisor/launch/data_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "shared/os/fd.h"

namespace tenantd {
namespace {

constexpr mode_t private_mode = 0700;
constexpr mode_t traverse_mode = 0711;

// Owners of the directories below `parent`, the one called `except` left out. A uid counts as used
// whatever the entry is, so that it never comes back while data of its owner may exist.
std::set<uid_t> owners_below(const std::string& parent, std::string_view except) {
  std::set<uid_t> owners;
  DIR* directory = ::opendir(parent.c_str());
  if (directory == nullptr) return owners;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name(entry->d_name);
    struct stat info {};
    if (name == "." || name == ".." || name == except) continue;
    if (::fstatat(::dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
      owners.insert(info.st_uid);
    }
  }
  (void)::closedir(directory);
  return owners;
}

Status make_parent(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("mkdir " + path, errno);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno("lstat " + path, errno);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022) != 0) {
    return fail(ErrorCode::permission_denied,
                path + " must be a directory of the supervisor's own, not writable by others");
  }
  return {};
}

// The owner of an existing directory that passes; checked through a descriptor so that it cannot be
// exchanged.
Result<uid_t> check_existing(const std::string& path, const UidAllocator& uids) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    if (errno == ELOOP || errno == ENOTDIR) {
      return fail(ErrorCode::permission_denied, path + " is a symlink or no directory");
    }
    return fail_errno("open " + path, errno);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("fstat " + path, errno);
  if (!uids.may_own(info.st_uid)) {
    return fail(ErrorCode::permission_denied,
                path + " belongs to uid " + std::to_string(info.st_uid) +
                    ", which is none that a tenant may have",
                "look at uid_range in tenantd.toml, or move the directory away");
  }
  if ((info.st_mode & 07777) != private_mode) {
    return fail(ErrorCode::permission_denied, path + " must have mode 0700");
  }
  return info.st_uid;
}

// Complete under another name before it appears: a crash in between leaves no half-made directory.
Status make_owned(const std::string& path, uid_t uid, bool privileged) {
  const std::string fresh = path + ".new";
  (void)::rmdir(fresh.c_str());
  if (::mkdir(fresh.c_str(), private_mode) != 0) return fail_errno("mkdir " + fresh, errno);
  if (::chmod(fresh.c_str(), private_mode) != 0) return fail_errno("chmod " + fresh, errno);
  if (privileged && ::lchown(fresh.c_str(), uid, uid) != 0) {
    const int saved_errno = errno;
    (void)::rmdir(fresh.c_str());
    return fail_errno("chown " + fresh, saved_errno);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename " + fresh, errno);
  return {};
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

uid_t UidAllocator::control_uid() const noexcept { return privileged_ ? first_ : ::geteuid(); }

bool UidAllocator::may_own(uid_t uid) const noexcept {
  if (!privileged_) return uid == ::geteuid();
  return uid >= first_ && uid - first_ < count_;
}

Result<uid_t> UidAllocator::lowest_free(const std::string& tenants_directory) const {
  if (!privileged_) return ::geteuid();
  const std::set<uid_t> used = owners_below(tenants_directory, "");
  for (std::uint32_t i = 1; i < count_; ++i) {
    if (!used.contains(first_ + i)) return first_ + i;
  }
  return fail(ErrorCode::resource_exhausted, "no uid is left in the configured range",
              "widen uid_range in tenantd.toml, or delete the data of tenants that are gone");
}

std::string data_directory_path(const std::string& state_dir, const TenantId& tenant) {
  return state_dir + "/tenants/" + tenant.str();
}

Result<uid_t> prepare_data_directory(const std::string& state_dir, const TenantId& tenant,
                                     const UidAllocator& uids) {
  const std::string parent = state_dir + "/tenants";
  if (auto made = make_parent(parent, traverse_mode); !made) return tl::unexpected(made.error());
  const std::string path = data_directory_path(state_dir, tenant);
  if (!exists(path)) {
    const auto uid = uids.lowest_free(parent);
    if (!uid) return uid;
    auto made = make_owned(path, *uid, uids.privileged());
    if (!made) return tl::unexpected(made.error());
  }
  const auto owner = check_existing(path, uids);
  if (!owner || !uids.privileged()) return owner;
  if (*owner == uids.control_uid() || owners_below(parent, tenant.view()).contains(*owner)) {
    return fail(ErrorCode::permission_denied,
                path + " has the uid of another tenant or of control: " + std::to_string(*owner));
  }
  return owner;
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
