// A memfd whose contents can no longer change: how one process hands another a fixed record.
//
// Runs in: supervisor (writes launch specs), jail and worker (read them). Source: memfd_create(2),
// fcntl(2) file sealing.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

// Contents are copied; the result carries F_SEAL_{WRITE,SHRINK,GROW,SEAL} and is CLOEXEC.
[[nodiscard]] Result<UniqueFd> make_sealed_memfd(const char* name,
                                                 std::span<const std::byte> contents);

// Reads exactly out.size() bytes. Errors: protocol_error when the seals are missing or the size
// differs.
[[nodiscard]] Status read_sealed_memfd(int fd, std::span<std::byte> out);

template <class T>
[[nodiscard]] Result<UniqueFd> seal_record(const char* name, const T& record) {
  static_assert(std::is_trivially_copyable_v<T>);
  return make_sealed_memfd(name, std::as_bytes(std::span(&record, 1)));
}

template <class T>
[[nodiscard]] Status read_sealed_record(int fd, T& out) {
  static_assert(std::is_trivially_copyable_v<T>);
  return read_sealed_memfd(fd, std::as_writable_bytes(std::span(&out, 1)));
}

}  // namespace tenantd
