// The generated filters, run through a BPF evaluator of our own: no kernel, no root.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>

#include "supervisor/jail/syscall_table.h"

using namespace tenantd;

namespace {

// The instructions that the assembler emits; anything else fails the test.
std::uint32_t evaluate(const SeccompProgram& program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size; ++at) {
    const sock_filter& instruction = program.instructions[at];
    switch (instruction.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        REQUIRE(instruction.k + sizeof accumulator <= sizeof data);
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + instruction.k,
                    sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= instruction.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == instruction.k ? instruction.jt : instruction.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= instruction.k ? instruction.jt : instruction.jf;
        break;
      case BPF_RET | BPF_K:
        return instruction.k;
      default:
        FAIL("unexpected instruction");
    }
  }
  FAIL("the filter ends without a verdict");
  return 0;
}

struct Arguments {
  std::uint64_t values[6] = {};
};

std::uint32_t verdict(const SeccompProgram& program, long number, Arguments arguments = {},
                      std::uint32_t arch = AUDIT_ARCH_X86_64) {
  seccomp_data data{};
  data.nr = static_cast<int>(number);
  data.arch = arch;
  std::memcpy(data.args, arguments.values, sizeof data.args);
  return evaluate(program, data);
}

SeccompProgram first_stage(bool libraries) {
  FilterPlan plan;
  plan.rules = libraries ? allowed_syscalls_with_libraries() : allowed_syscalls();
  plan.refused = refused_syscalls();
  auto program = assemble_filter(plan);
  REQUIRE(program);
  return *program;
}

constexpr std::uint32_t killed = SECCOMP_RET_KILL_PROCESS;
constexpr std::uint32_t allowed = SECCOMP_RET_ALLOW;

}  // namespace

TEST_CASE("the table is short, has a reason each and no call twice") {
  std::set<int> numbers;
  for (const SyscallRule& rule : allowed_syscalls()) {
    CHECK(numbers.insert(rule.number).second);
    CHECK_FALSE(rule.reason.empty());
  }
  for (const RefusedSyscall& refused : refused_syscalls()) {
    CHECK(numbers.insert(refused.number).second);
  }
  CHECK(allowed_syscalls().size() <= max_allowed_syscalls);
  CHECK(allowed_syscalls_with_libraries().size() == allowed_syscalls().size());
  MESSAGE("allowed system calls: ", allowed_syscalls().size());
}

TEST_CASE("every number that is not listed is killed, in every ABI") {
  const SeccompProgram program = first_stage(false);
  std::set<int> listed;
  for (const SyscallRule& rule : allowed_syscalls()) listed.insert(rule.number);
  for (const RefusedSyscall& refused : refused_syscalls()) listed.insert(refused.number);
  for (int number = 0; number < 1024; ++number) {
    CAPTURE(number);
    if (!listed.contains(number)) CHECK(verdict(program, number) == killed);
    CHECK(verdict(program, number, {}, AUDIT_ARCH_I386) == killed);
    CHECK(verdict(program, number | 0x40000000) == killed);
  }
  CHECK(verdict(program, -1) == killed);
}

TEST_CASE("a program stays on the CPUs and the memory that it was given") {
  const SeccompProgram program = first_stage(false);
  for (const int number : {SYS_sched_setaffinity, SYS_sched_setattr, SYS_set_mempolicy, SYS_mbind,
                           SYS_migrate_pages, SYS_move_pages}) {
    CAPTURE(number);
    CHECK(verdict(program, number) != allowed);
  }
}

TEST_CASE("arguments decide") {
  const SeccompProgram program = first_stage(false);
  CHECK(verdict(program, SYS_read) == allowed);
  CHECK(verdict(program, SYS_clone3) == (SECCOMP_RET_ERRNO | ENOSYS));
  CHECK(verdict(program, SYS_socket, {{AF_UNIX}}) == allowed);
  for (const std::uint64_t family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK}) {
    CHECK(verdict(program, SYS_socket, {{family}}) == killed);
  }
  constexpr std::uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                                   CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                                   CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  CHECK(verdict(program, SYS_clone, {{thread}}) == allowed);
  CHECK(verdict(program, SYS_clone, {{SIGCHLD}}) == killed);
  for (const std::uint64_t flag :
       {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_PTRACE, CLONE_VFORK}) {
    CHECK(verdict(program, SYS_clone, {{thread | flag}}) == killed);
  }
  CHECK(verdict(program, SYS_mmap, {{0, 4096, PROT_READ | PROT_WRITE}}) == allowed);
  CHECK(verdict(program, SYS_mmap, {{0, 4096, PROT_READ | PROT_EXEC}}) == killed);
  CHECK(verdict(program, SYS_mprotect, {{0, 4096, PROT_EXEC}}) == killed);
  CHECK(verdict(program, SYS_prlimit64, {{0, 3, 0, 1}}) == allowed);
  CHECK(verdict(program, SYS_prlimit64, {{0, 3, 1ULL << 32U}}) == killed);  // a pointer's high half
  CHECK(verdict(program, SYS_prlimit64, {{1, 3, 0}}) == killed);
  CHECK(verdict(program, SYS_ioctl, {{0, 0x5412}}) == killed);  // TIOCSTI
  CHECK(verdict(program, SYS_fcntl, {{0, 8}}) == killed);       // F_SETOWN
  CHECK(verdict(program, SYS_execveat, {{5, 0, 0, 0, 0x1000}}) == allowed);
  CHECK(verdict(program, SYS_execveat, {{6, 0, 0, 0, 0x1000}}) == killed);
}

TEST_CASE("libraries may be mapped executable, never also writable") {
  const SeccompProgram program = first_stage(true);
  CHECK(verdict(program, SYS_mmap, {{0, 4096, PROT_READ | PROT_EXEC}}) == allowed);
  CHECK(verdict(program, SYS_mmap, {{0, 4096, PROT_WRITE | PROT_EXEC}}) == killed);
}

TEST_CASE("the internet is TCP and UDP sockets that begin, and changes nothing else") {
  for (const bool libraries : {false, true}) {
    const SeccompProgram without = first_stage(libraries);
    FilterPlan plan;
    plan.rules = allowed_syscalls_with_internet(libraries);
    plan.refused = refused_syscalls();
    const auto assembled = assemble_filter(plan);
    REQUIRE(assembled);
    const SeccompProgram& with = *assembled;
    for (const std::uint64_t family : {AF_INET, AF_INET6}) {
      for (const std::uint64_t flags : {0, int{SOCK_NONBLOCK}, int{SOCK_NONBLOCK | SOCK_CLOEXEC}}) {
        CHECK(verdict(with, SYS_socket, {{family, SOCK_STREAM | flags, 0}}) == allowed);
        CHECK(verdict(with, SYS_socket, {{family, SOCK_STREAM | flags, 6}}) == allowed);
        CHECK(verdict(with, SYS_socket, {{family, SOCK_DGRAM | flags, 17}}) == allowed);
      }
      for (const std::uint64_t type :
           {SOCK_RAW, SOCK_SEQPACKET, SOCK_RDM, SOCK_DCCP, SOCK_PACKET}) {
        CHECK(verdict(with, SYS_socket, {{family, type, 0}}) == killed);
      }
      for (const std::uint64_t protocol : {1, 2, 41, 58, 132, 136, 255, 262}) {
        CHECK(verdict(with, SYS_socket, {{family, SOCK_STREAM, protocol}}) == killed);
        CHECK(verdict(with, SYS_socket, {{family, SOCK_DGRAM, protocol}}) == killed);
      }
    }
    CHECK(verdict(with, SYS_socket, {{AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0}}) == allowed);
    for (const std::uint64_t family : {AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG, AF_XDP, AF_KEY}) {
      CHECK(verdict(with, SYS_socket, {{family, SOCK_DGRAM, 0}}) == killed);
    }
    CHECK(verdict(with, SYS_sendto, {{0, 0, 0, MSG_NOSIGNAL}}) == allowed);
    CHECK(verdict(with, SYS_sendto, {{0, 0, 0, MSG_FASTOPEN}}) == killed);
    CHECK(verdict(with, SYS_sendmsg, {{0, 0, MSG_FASTOPEN}}) == killed);
    CHECK(verdict(with, SYS_setsockopt, {{0, SOL_SOCKET, SO_KEEPALIVE}}) == allowed);
    CHECK(verdict(with, SYS_setsockopt, {{0, 6, 1}}) == allowed);  // TCP_NODELAY
    CHECK(verdict(with, SYS_setsockopt, {{0, SOL_SOCKET, SO_BINDTODEVICE}}) == killed);
    CHECK(verdict(with, SYS_setsockopt, {{0, SOL_SOCKET, SO_MARK}}) == killed);
    CHECK(verdict(with, SYS_setsockopt, {{0, 6, 31}}) == killed);            // TCP_ULP
    CHECK(verdict(with, SYS_setsockopt, {{0, 0, SO_KEEPALIVE}}) == killed);  // IPPROTO_IP
    for (const long call : {SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_sendmmsg}) {
      CHECK(verdict(with, call) == killed);
    }
    // Every other call ends as it ends without it.
    for (int number = 0; number < 1024; ++number) {
      if (number == SYS_shutdown) continue;
      CAPTURE(number);
      CHECK(verdict(with, number) == verdict(without, number));
      const Arguments ones{{~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL}};
      if (number == SYS_sendto || number == SYS_sendmsg) continue;
      CHECK(verdict(with, number, ones) == verdict(without, number, ones));
    }
  }
}

TEST_CASE("without the allowance there is no socket but AF_UNIX and no option to set") {
  const SeccompProgram program = first_stage(false);
  CHECK(verdict(program, SYS_socket, {{AF_INET, SOCK_STREAM}}) == killed);
  for (const long call : {SYS_setsockopt, SYS_shutdown, SYS_bind, SYS_listen}) {
    CHECK(verdict(program, call) == killed);
  }
}
