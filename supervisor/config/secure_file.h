// Reading configuration that nobody else can have written.
//
// Runs in: the supervisor, often as root, in directories that others can see. A file or directory
// counts only if it belongs to root or to tenantd's own user, nobody else may write it, and no
// symlink leads to it. Directories above may belong to anybody, but one that everybody may write
// must be sticky (/tmp): else the directory below could be swapped for another.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

inline constexpr std::size_t max_config_bytes = 256 * 1024;

// Opens an absolute directory, component by component, none of them a symlink. Errors:
// invalid_argument (not absolute), not_found, permission_denied (ownership, mode, symlink: with how
// to mend it), internal.
[[nodiscard]] Result<UniqueFd> open_secure_directory(const std::string& path, uid_t daemon_uid);

// The text of the regular file `name` (one component) in an open directory; `directory` is its
// path, for messages. Never blocks on a FIFO or a device. Errors: as above; resource_exhausted
// (over max_config_bytes); unavailable (the file changed meanwhile: read again).
[[nodiscard]] Result<std::string> read_secure_file(int directory_fd, const std::string& directory,
                                                   const std::string& name, uid_t daemon_uid);
// Status of such a file, which is not opened. Errors: those of its place, owner and mode.
[[nodiscard]] Result<struct stat> check_secure_file(int directory_fd, const std::string& directory,
                                                    const std::string& name, uid_t daemon_uid);
// Good if the program at this absolute path can be executed and nobody but root and tenantd's user
// could have written it.
[[nodiscard]] Status check_secure_program(const std::string& path, uid_t daemon_uid);
// The directory and the file in one.
[[nodiscard]] Result<std::string> read_secure_file(const std::string& path, uid_t daemon_uid);

}  // namespace tenantd
