// System call filters by hand: a list of rules becomes a BPF program for seccomp(2).
//
// Runs in: the jail (first stage) and confined programs (second stage). No libseccomp: the programs
// are static, and the whole generator fits on a screen. x86-64 only; a call of any other ABI (int
// 0x80, x32) kills the process. Sources: seccomp(2),
// Documentation/userspace-api/seccomp_filter.rst.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "shared/base/error.h"

namespace tenantd {

// Passes when (argument & mask) is one of the values. Only the low 32 bits are looked at, as the
// kernel does for int arguments; with `whole` the high 32 bits must be zero too (pointers that must
// be null).
struct ArgumentCheck {
  static constexpr std::size_t max_values = 16;
  std::uint8_t argument = 0;  // 0..5
  bool whole = false;
  std::uint8_t value_count = 0;
  std::uint32_t mask = 0xffffffffU;
  std::array<std::uint32_t, max_values> values{};
};

[[nodiscard]] constexpr ArgumentCheck one_of(std::uint8_t argument,
                                             std::initializer_list<std::uint32_t> values) {
  ArgumentCheck check;
  check.argument = argument;
  for (const std::uint32_t value : values) check.values.at(check.value_count++) = value;
  return check;
}
[[nodiscard]] constexpr ArgumentCheck masked(std::uint8_t argument, std::uint32_t mask,
                                             std::initializer_list<std::uint32_t> values) {
  ArgumentCheck check = one_of(argument, values);
  check.mask = mask;
  return check;
}
[[nodiscard]] constexpr ArgumentCheck is_null(std::uint8_t argument) {
  ArgumentCheck check = one_of(argument, {0});
  check.whole = true;
  return check;
}

// Allowed when every check passes; killed otherwise, unless the rule after it, of the same call,
// may still allow it.
struct SyscallRule {
  static constexpr std::size_t max_checks = 3;
  int number = -1;
  std::string_view name;
  std::string_view reason;  // why a confined program needs it
  std::uint8_t check_count = 0;
  std::array<ArgumentCheck, max_checks> checks{};
  bool or_next = false;
};

// Answered with an error without running: what libraries probe for and can do without.
struct RefusedSyscall {
  int number = -1;
  int error = 0;  // errno
  std::string_view name;
  std::string_view reason;
};

struct FilterPlan {
  std::span<const SyscallRule> rules;
  std::span<const RefusedSyscall> refused;
  std::span<const int> killed;
  bool allow_unlisted = false;  // false: an unlisted call kills the process
};

struct SeccompProgram {
  static constexpr std::size_t capacity = 768;
  std::array<sock_filter, capacity> instructions{};
  std::uint16_t size = 0;
  [[nodiscard]] std::span<const sock_filter> view() const noexcept {
    return {instructions.data(), size};
  }
};

// Errors: invalid_argument when the plan does not fit (a bug of ours).
[[nodiscard]] Result<SeccompProgram> assemble_filter(const FilterPlan& plan);
// Installs it for all threads of the process (TSYNC). Needs no_new_privs. Errors: internal with
// errno.
[[nodiscard]] Status install_filter(const SeccompProgram& program);

}  // namespace tenantd
