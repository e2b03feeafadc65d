#include "worker/store/lock_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace tenantd {

Result<LockFile> LockFile::acquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return fail(ErrorCode::store_degraded,
                std::string("the lock file cannot be opened: ") + std::strerror(errno));
  }
  LockFile lock(fd);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return lock;
  const int saved_errno = errno;
  if (saved_errno != EAGAIN && saved_errno != EACCES) return fail_errno("F_OFD_SETLK", saved_errno);
  Error error;
  error.code = ErrorCode::unavailable;
  error.message = "another process writes this tenant's data";
  error.hint = "it must end or hand over first";
  error.retry_after_ms = 100;
  return fail(std::move(error));
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace tenantd
