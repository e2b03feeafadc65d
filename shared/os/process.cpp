#include "shared/os/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace tenantd {

Result<UniqueFd> open_pidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd) return fd;
  auto error = fail_errno("pidfd_open", errno);
  if (error.value().os_errno == ESRCH) error.value().code = ErrorCode::not_found;
  return error;
}

Status signal_pidfd(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return {};
  auto error = fail_errno("pidfd_send_signal", errno);
  if (error.value().os_errno == ESRCH) error.value().code = ErrorCode::not_found;
  return error;
}

Result<std::uint64_t> process_start_ticks(pid_t pid) {
  const auto text = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return tl::unexpected(text.error());
  // The command name may hold spaces and parentheses: fields are counted after its last ')'.
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return fail(ErrorCode::internal, "unreadable /proc stat");
  std::size_t position = name_end + 1;
  for (int field = 3; field <= 22; ++field) {
    position = text->find_first_not_of(' ', position);
    if (position == std::string::npos) return fail(ErrorCode::internal, "unreadable /proc stat");
    if (field == 22) break;
    position = text->find(' ', position);
  }
  std::uint64_t ticks = 0;
  const auto parsed = std::from_chars(text->data() + position, text->data() + text->size(), ticks);
  if (parsed.ec != std::errc{}) return fail(ErrorCode::internal, "unreadable /proc stat");
  return ticks;
}

Result<std::string> read_small_file(const std::string& path) {
  static constexpr std::size_t limit = 64UL << 10U;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    auto error = fail_errno("open " + path, errno);
    if (error.value().os_errno == ENOENT) error.value().code = ErrorCode::not_found;
    return error;
  }
  std::string text(limit, '\0');
  std::size_t size = 0;
  while (size < limit) {
    const ssize_t n = ::read(fd.get(), text.data() + size, limit - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("read " + path, errno);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  text.resize(size);
  return text;
}

std::vector<std::string> names_in(const std::string& directory) {
  struct CloseDirectory {
    void operator()(DIR* open) const noexcept { (void)::closedir(open); }
  };
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> entries(::opendir(directory.c_str()));
  if (!entries) return names;
  while (const dirent* const entry = ::readdir(entries.get())) {
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

Status write_existing_file(const std::string& path, std::string_view text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path, errno);
  ssize_t written = -1;
  do {
    written = ::write(fd.get(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size())) return fail_errno("write " + path, errno);
  return {};
}

Status write_file_atomically(const std::string& path, std::string_view text, mode_t mode,
                             bool durable) {
  const std::string fresh = path + ".tmp";
  (void)::unlink(fresh.c_str());
  const UniqueFd fd(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return fail_errno("open " + fresh, errno);
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(fd.get(), text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("write " + fresh, errno);
    written += static_cast<std::size_t>(n);
  }
  if (::fchmod(fd.get(), mode) != 0) return fail_errno("fchmod " + fresh, errno);
  if (durable && ::fsync(fd.get()) != 0) return fail_errno("fsync " + fresh, errno);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename " + fresh, errno);
  return {};
}

}  // namespace tenantd
