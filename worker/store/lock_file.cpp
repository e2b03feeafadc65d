#include "worker/store/lock_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
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

bool LockFile::says_complete() const noexcept {
  struct stat status {};
  return ::fstat(fd_, &status) == 0 && status.st_size > 0;
}

Status LockFile::say_complete() const {
  if (says_complete()) return {};
  constexpr std::string_view text = "complete\n";
  const ssize_t written = ::pwrite(fd_, text.data(), text.size(), 0);
  if (written != static_cast<ssize_t>(text.size())) {
    return fail(ErrorCode::store_degraded, "the lock file cannot be written");
  }
  if (::fsync(fd_) != 0) return fail_errno("fsync the lock file", errno);
  return {};
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace tenantd
