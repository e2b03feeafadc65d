#include "shared/os/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace tenantd {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "offsets of argument halves");
constexpr std::uint32_t x32_bit = 0x40000000U;

class Assembler {
 public:
  void statement(std::uint32_t code, std::uint32_t value) { push(code, 0, 0, value); }
  void load(std::size_t offset) {
    statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
  }
  void give(std::uint32_t action) { statement(BPF_RET | BPF_K, action); }
  void jump_equal(std::uint32_t value, std::size_t if_true, std::size_t if_false) {
    push(BPF_JMP | BPF_JEQ | BPF_K, if_true, if_false, value);
  }
  void jump_at_least(std::uint32_t value, std::size_t if_true, std::size_t if_false) {
    push(BPF_JMP | BPF_JGE | BPF_K, if_true, if_false, value);
  }
  [[nodiscard]] std::size_t size() const noexcept { return program_.size; }
  [[nodiscard]] bool fits() const noexcept { return fits_; }
  [[nodiscard]] const SeccompProgram& program() const noexcept { return program_; }

 private:
  void push(std::uint32_t code, std::size_t if_true, std::size_t if_false, std::uint32_t value) {
    if (program_.size >= SeccompProgram::capacity || if_true > 255 || if_false > 255) {
      fits_ = false;
      return;
    }
    program_.instructions[program_.size++] =
        sock_filter{static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(if_true),
                    static_cast<std::uint8_t>(if_false), value};
  }
  SeccompProgram program_;
  bool fits_ = true;
};

std::size_t check_length(const ArgumentCheck& check) {
  return 2U + (check.mask != 0xffffffffU ? 1U : 0U) + check.value_count + (check.whole ? 3U : 0U);
}

// What becomes of a call that a check does not let pass.
struct Refusal {
  bool or_next = false;
  std::size_t next = 0;  // place of the instruction behind the rule
  // One instruction either way.
  void put(Assembler& out) const {
    if (!or_next) return out.give(SECCOMP_RET_KILL_PROCESS);
    const std::size_t distance = next - out.size() - 1;
    out.jump_equal(0, distance, distance);
  }
};

void put_check(Assembler& out, const ArgumentCheck& check, const Refusal& refusal) {
  const std::size_t low =
      offsetof(seccomp_data, args) + std::size_t{check.argument} * sizeof(std::uint64_t);
  if (check.whole) {
    out.load(low + sizeof(std::uint32_t));
    out.jump_equal(0, 1, 0);
    refusal.put(out);
  }
  out.load(low);
  if (check.mask != 0xffffffffU) out.statement(BPF_ALU | BPF_AND | BPF_K, check.mask);
  for (std::size_t i = 0; i < check.value_count; ++i) {
    out.jump_equal(check.values[i], check.value_count - i, 0);  // past the kill below
  }
  refusal.put(out);
}

void put_rule(Assembler& out, const SyscallRule& rule) {
  std::size_t length = 1;
  for (std::size_t i = 0; i < rule.check_count; ++i) length += check_length(rule.checks[i]);
  out.jump_equal(static_cast<std::uint32_t>(rule.number), 0, length);
  const Refusal refusal{rule.or_next, out.size() + length};
  for (std::size_t i = 0; i < rule.check_count; ++i) put_check(out, rule.checks[i], refusal);
  out.give(SECCOMP_RET_ALLOW);
  if (rule.or_next) out.load(offsetof(seccomp_data, nr));  // the checks have used its place
}

}  // namespace

Result<SeccompProgram> assemble_filter(const FilterPlan& plan) {
  Assembler out;
  out.load(offsetof(seccomp_data, arch));
  out.jump_equal(AUDIT_ARCH_X86_64, 1, 0);
  out.give(SECCOMP_RET_KILL_PROCESS);
  out.load(offsetof(seccomp_data, nr));
  out.jump_at_least(x32_bit, 0, 1);
  out.give(SECCOMP_RET_KILL_PROCESS);
  for (const int number : plan.killed) {
    out.jump_equal(static_cast<std::uint32_t>(number), 0, 1);
    out.give(SECCOMP_RET_KILL_PROCESS);
  }
  for (const RefusedSyscall& refused : plan.refused) {
    out.jump_equal(static_cast<std::uint32_t>(refused.number), 0, 1);
    out.give(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(refused.error));
  }
  for (const SyscallRule& rule : plan.rules) put_rule(out, rule);
  out.give(plan.allow_unlisted ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
  if (!out.fits()) return fail(ErrorCode::invalid_argument, "the system call filter is too long");
  return out.program();
}

Status install_filter(const SeccompProgram& program) {
  sock_fprog description{};
  description.len = program.size;
  description.filter = const_cast<sock_filter*>(program.instructions.data());
  const long result =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &description);
  if (result < 0) return fail_errno("seccomp", errno);
  if (result > 0) return fail(ErrorCode::internal, "seccomp: a thread has another filter");
  return {};
}

}  // namespace tenantd
