#include "supervisor/daemon/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace tenantd {
namespace {

constexpr mode_t others_read = S_IRGRP | S_IROTH;

// `mode` is for a fresh directory; one that is there keeps its mode if nobody else can write it.
Status ensure_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    if (::chmod(path.c_str(), mode) != 0) return fail_errno("chmod " + path, errno);
    return {};
  }
  if (errno == ENOENT) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return fail_errno("mkdir " + path, ENOENT);
    if (Status parent = ensure_directory(path.substr(0, slash), 0755); !parent) return parent;
    return ensure_directory(path, mode);
  }
  if (errno != EEXIST) return fail_errno("mkdir " + path, errno);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno("lstat " + path, errno);
  if (!S_ISDIR(info.st_mode) || (info.st_uid != ::geteuid() && info.st_uid != 0) ||
      (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(
        ErrorCode::permission_denied,
        path +
            " must be a directory that belongs to tenantd's user and that nobody else may write");
  }
  return {};
}

}  // namespace

Status prepare_directories(const std::string& run_dir, const std::string& state_dir) {
  struct Wanted {
    std::string path;
    mode_t mode;
  };
  // `link` is reached by workers of other uids, `workers` holds records that decide about adoption.
  for (const Wanted& one :
       {Wanted{run_dir, 0755}, Wanted{run_dir + "/link", 0711}, Wanted{run_dir + "/workers", 0700},
        Wanted{state_dir, 0711}, Wanted{state_dir + "/tenants", 0711}}) {
    if (Status made = ensure_directory(one.path, one.mode); !made) return made;
  }
  return {};
}

Result<UniqueFd> lock_directory(const std::string& directory) {
  UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!lock) return fail_errno("open " + directory, errno);
  struct stat info {};
  if (::fstat(lock.get(), &info) != 0) return fail_errno("fstat " + directory, errno);
  // Whoever can open it for reading could hold the lock and keep every supervisor out.
  if (info.st_uid == ::geteuid() && (info.st_mode & others_read) != 0 &&
      ::fchmod(lock.get(), info.st_mode & 07777 & ~others_read) != 0) {
    return fail_errno("chmod " + directory, errno);
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return fail_errno("flock " + directory, errno);
  return fail(ErrorCode::already_exists, "another tenantd uses " + directory,
              "give each instance its own --run-dir, --state-dir and [cgroup] name");
}

}  // namespace tenantd
