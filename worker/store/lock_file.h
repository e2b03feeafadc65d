// The lease on a tenant's data: at most one process writes it.
//
// Runs in: worker. An open-file-description lock (fcntl(2), F_OFD_SETLK) on a file beside the
// database: it goes with the process, however that ends, and unlike SQLite's POSIX locks it
// survives closing another descriptor of the same file.
#pragma once

#include <string>

#include "shared/base/error.h"

namespace tenantd {

// The lock file also remembers that a complete database has been beside it: an empty database is
// damage then, and not a new one.
class LockFile {
 public:
  // Not blocking. Errors: unavailable (another holder), store_degraded (the file cannot be opened).
  [[nodiscard]] static Result<LockFile> acquire(const std::string& path);

  [[nodiscard]] bool says_complete() const noexcept;
  // Blocking: durable when it returns.
  [[nodiscard]] Status say_complete() const;

  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&&) = delete;
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  ~LockFile();

 private:
  explicit LockFile(int fd) noexcept : fd_(fd) {}
  int fd_;  // -1: moved away
};

}  // namespace tenantd
