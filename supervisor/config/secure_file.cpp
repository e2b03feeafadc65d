#include "supervisor/config/secure_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "supervisor/config/list_reader.h"

namespace tenantd {
namespace {

tl::unexpected<Error> refuse(ErrorCode code, const std::string& path, std::string message,
                             std::string hint = {}) {
  Error error;
  error.code = code;
  error.file = path;
  error.message = std::move(message);
  error.hint = std::move(hint);
  return fail(std::move(error));
}

tl::unexpected<Error> refuse_errno(const std::string& path, int saved_errno) {
  if (saved_errno == ENOENT) return refuse(ErrorCode::not_found, path, "no such file or directory");
  Error error = fail_errno("cannot be opened", saved_errno).value();
  if (saved_errno == EACCES || saved_errno == EPERM) error.code = ErrorCode::permission_denied;
  error.file = path;
  return fail(std::move(error));
}

tl::unexpected<Error> refuse_symlink(const std::string& path) {
  return refuse(ErrorCode::permission_denied, path, "is a symbolic link",
                "name the place itself: realpath " + path);
}

// Owner and mode of the file or directory that is trusted with configuration.
Status check_trusted(const struct stat& status, const std::string& path, uid_t daemon_uid) {
  if (status.st_uid != 0 && status.st_uid != daemon_uid) {
    return refuse(ErrorCode::permission_denied, path,
                  "belongs to uid " + std::to_string(status.st_uid) +
                      ", which is neither root nor tenantd's own user",
                  "chown " + std::to_string(daemon_uid) + ' ' + path);
  }
  if ((status.st_mode & S_ISVTX) != 0 && S_ISDIR(status.st_mode)) {
    return refuse(ErrorCode::permission_denied, path, "is a directory shared with others",
                  "keep the configuration in a directory of its own");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return refuse(ErrorCode::permission_denied, path, "others may write it", "chmod go-w " + path);
  }
  return {};
}

Status check_ancestor(const struct stat& status, const std::string& path) {
  if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0) {
    return refuse(ErrorCode::permission_denied, path,
                  "everybody may write this directory above the configuration",
                  "chmod o-w " + path);
  }
  return {};
}

// One step down. O_PATH, so that directories which may be passed but not listed do.
Result<UniqueFd> open_component(int parent_fd, const std::string& name, const std::string& path,
                                struct stat& status) {
  UniqueFd fd(::openat(parent_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return refuse_errno(path, errno);
  if (::fstat(fd.get(), &status) != 0) return refuse_errno(path, errno);
  if (S_ISLNK(status.st_mode)) return refuse_symlink(path);
  if (!S_ISDIR(status.st_mode)) {
    return refuse(ErrorCode::permission_denied, path, "is not a directory");
  }
  return fd;
}

Result<std::string> read_bounded(int fd, const std::string& path, std::size_t expected_bytes) {
  std::string text(expected_bytes + 1, '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t got = ::read(fd, text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse_errno(path, errno);
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  text.resize(used);
  return text;
}

bool same_content(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

std::string join(const std::string& directory, const std::string& name) {
  return directory == "/" ? '/' + name : directory + '/' + name;
}

// Before it is opened: opening a device can have effects.
Status look_at(int directory_fd, const std::string& name, const std::string& path,
               struct stat& status) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return refuse(ErrorCode::invalid_argument, path, "is not the name of a file");
  }
  if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return refuse_errno(path, errno);
  }
  if (S_ISLNK(status.st_mode)) return refuse_symlink(path);
  if (!S_ISREG(status.st_mode)) {
    return refuse(ErrorCode::permission_denied, path, "is not a regular file");
  }
  return {};
}

}  // namespace

Result<UniqueFd> open_secure_directory(const std::string& path, uid_t daemon_uid) {
  if (!is_clean_absolute_path(path)) {
    return refuse(ErrorCode::invalid_argument, path, "is not an absolute path without . and ..");
  }
  UniqueFd current(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!current) return refuse_errno("/", errno);
  struct stat status {};
  if (::fstat(current.get(), &status) != 0) return refuse_errno("/", errno);
  std::string reached = "/";
  for (std::size_t at = 1; at < path.size();) {
    if (Status checked = check_ancestor(status, reached); !checked) {
      return fail(std::move(checked).error());
    }
    const std::size_t end = std::min(path.find('/', at), path.size());
    reached = path.substr(0, end);
    Result<UniqueFd> next =
        open_component(current.get(), path.substr(at, end - at), reached, status);
    if (!next) return next;
    current = *std::move(next);
    at = end + 1;
  }
  if (Status checked = check_trusted(status, path, daemon_uid); !checked) {
    return fail(std::move(checked).error());
  }
  // The same inode again, now for reading: "." cannot be swapped.
  UniqueFd readable(::openat(current.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!readable) return refuse_errno(path, errno);
  return readable;
}

Result<std::string> read_secure_file(int directory_fd, const std::string& directory,
                                     const std::string& name, uid_t daemon_uid) {
  const std::string path = join(directory, name);
  struct stat status {};
  if (Status named = look_at(directory_fd, name, path, status); !named) {
    return fail(std::move(named).error());
  }
  const UniqueFd fd(
      ::openat(directory_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return errno == ELOOP ? refuse_symlink(path) : refuse_errno(path, errno);
  if (::fstat(fd.get(), &status) != 0) return refuse_errno(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return refuse(ErrorCode::permission_denied, path, "is not a regular file");
  }
  if (Status checked = check_trusted(status, path, daemon_uid); !checked) {
    return fail(std::move(checked).error());
  }
  if (status.st_size > static_cast<off_t>(max_config_bytes)) {
    return refuse(ErrorCode::resource_exhausted, path,
                  "is larger than " + std::to_string(max_config_bytes / 1024) + " KiB");
  }
  Result<std::string> text = read_bounded(fd.get(), path, static_cast<std::size_t>(status.st_size));
  if (!text) return text;
  struct stat after {};
  if (::fstat(fd.get(), &after) != 0) return refuse_errno(path, errno);
  if (!same_content(status, after) || text->size() != static_cast<std::size_t>(after.st_size)) {
    return refuse(ErrorCode::unavailable, path, "is being written");
  }
  return text;
}

Result<struct stat> check_secure_file(int directory_fd, const std::string& directory,
                                      const std::string& name, uid_t daemon_uid) {
  const std::string path = join(directory, name);
  struct stat status {};
  if (Status named = look_at(directory_fd, name, path, status); !named) {
    return fail(std::move(named).error());
  }
  if (Status checked = check_trusted(status, path, daemon_uid); !checked) {
    return fail(std::move(checked).error());
  }
  return status;
}

Status check_secure_program(const std::string& path, uid_t daemon_uid) {
  if (!is_clean_absolute_path(path) || path == "/") {
    return refuse(ErrorCode::invalid_argument, path, "is not an absolute path without . and ..");
  }
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == 0 ? "/" : path.substr(0, slash);
  const auto directory = open_secure_directory(above, daemon_uid);
  if (!directory) return tl::unexpected(directory.error());
  const auto info = check_secure_file(directory->get(), above, path.substr(slash + 1), daemon_uid);
  if (!info) return tl::unexpected(info.error());
  if ((info->st_mode & 0111) == 0) {
    return refuse(ErrorCode::permission_denied, path, "is not executable", "chmod +x " + path);
  }
  return {};
}

Result<std::string> read_secure_file(const std::string& path, uid_t daemon_uid) {
  if (!is_clean_absolute_path(path) || path == "/") {
    return refuse(ErrorCode::invalid_argument, path, "is not an absolute path without . and ..");
  }
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  const Result<UniqueFd> opened = open_secure_directory(directory, daemon_uid);
  if (!opened) return fail(opened.error());
  return read_secure_file(opened->get(), directory, path.substr(slash + 1), daemon_uid);
}

}  // namespace tenantd
