#include "shared/os/sealed_memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace tenantd {
namespace {

constexpr int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<UniqueFd> make_sealed_memfd(const char* name, std::span<const std::byte> contents) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return fail_errno("memfd_create", errno);
  std::size_t written = 0;
  while (written < contents.size()) {
    const ssize_t n = ::pwrite(fd.get(), contents.data() + written, contents.size() - written,
                               static_cast<off_t>(written));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("pwrite memfd", errno);
    written += static_cast<std::size_t>(n);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) return fail_errno("F_ADD_SEALS", errno);
  return fd;
}

Status read_sealed_memfd(int fd, std::span<std::byte> out) {
  if ((::fcntl(fd, F_GET_SEALS) & seals) != seals) {
    return fail(ErrorCode::protocol_error, "the record is not a sealed memfd");
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno("fstat memfd", errno);
  if (info.st_size != static_cast<off_t>(out.size())) {
    return fail(ErrorCode::protocol_error, "the sealed record has " + std::to_string(info.st_size) +
                                               " bytes instead of " + std::to_string(out.size()));
  }
  std::size_t taken = 0;
  while (taken < out.size()) {
    const ssize_t n =
        ::pread(fd, out.data() + taken, out.size() - taken, static_cast<off_t>(taken));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("pread memfd", errno);
    taken += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace tenantd
