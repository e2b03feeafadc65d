#include "supervisor/launch/owned_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "shared/os/fd.h"

namespace tenantd {
namespace {

constexpr mode_t private_mode = 0700;

}  // namespace

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

}  // namespace tenantd
