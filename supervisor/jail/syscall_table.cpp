#include "supervisor/jail/syscall_table.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "shared/contract/process_contract.h"

namespace tenantd {
namespace {

// Asked by glibc's start-up code; the kernel answers EINVAL where it has no shadow stacks.
constexpr std::uint32_t arch_cet_status = 0x3001;
constexpr std::uint32_t write_and_exec = PROT_WRITE | PROT_EXEC;
// Threads only: no new namespace, no ptrace inheritance, no vfork.
constexpr std::uint32_t clone_mask = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VFORK |
                                     CLONE_PTRACE | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                     CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                     CLONE_IO | CLONE_PIDFD | CLONE_UNTRACED;
constexpr std::uint32_t clone_thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;

constexpr SyscallRule plain(long number, std::string_view name, std::string_view reason) {
  return {static_cast<int>(number), name, reason, 0, {}};
}
constexpr SyscallRule checked(long number, std::string_view name, std::string_view reason,
                              ArgumentCheck check) {
  return {static_cast<int>(number), name, reason, 1, {check}};
}
constexpr SyscallRule checked(long number, std::string_view name, std::string_view reason,
                              ArgumentCheck first, ArgumentCheck second) {
  return {static_cast<int>(number), name, reason, 2, {first, second}};
}

constexpr std::array table = {
    // Memory. mmap stays first: the other table differs in it.
    checked(SYS_mmap, "mmap", "heap, stacks, rings, database map; never executable",
            masked(2, PROT_EXEC, {0})),
    plain(SYS_munmap, "munmap", "frees what mmap made"),
    checked(SYS_mprotect, "mprotect", "guard pages, heap growth, relro; never executable",
            masked(2, PROT_EXEC, {0})),
    plain(SYS_mremap, "mremap", "realloc of large blocks"),
    plain(SYS_brk, "brk", "heap"),
    checked(SYS_madvise, "madvise", "gives free heap and stacks back; huge pages",
            one_of(2, {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
                       MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP})),
    checked(SYS_memfd_create, "memfd_create", "rings",
            masked(1, ~std::uint32_t{MFD_CLOEXEC | MFD_ALLOW_SEALING | 8U}, {0})),

    // Files below /data and /tmp: the database and its journals.
    plain(SYS_openat, "openat", "database files"),
    plain(SYS_close, "close", "descriptors"),
    plain(SYS_read, "read", "eventfds, pipes"),
    plain(SYS_write, "write", "log lines, eventfds"),
    plain(SYS_writev, "writev", "stream frames"),
    plain(SYS_pread64, "pread64", "database pages, launch spec"),
    plain(SYS_pwrite64, "pwrite64", "database pages"),
    plain(SYS_rename, "rename", "files of programs other than ours"),
    checked(SYS_dup2, "dup2", "a new supervisor's log pipe", one_of(1, {log_out_fd, log_err_fd})),
    plain(SYS_fstat, "fstat", "sizes of rings and files"),
    plain(SYS_newfstatat, "newfstatat", "database files"),
    plain(SYS_access, "access", "database journals"),
    plain(SYS_unlink, "unlink", "files of programs other than ours"),
    plain(SYS_ftruncate, "ftruncate", "rings before sealing, journals"),
    plain(SYS_fsync, "fsync", "durable commits"),
    plain(SYS_fdatasync, "fdatasync", "durable commits"),
    checked(SYS_fcntl, "fcntl", "flags, file locks, seals",
            one_of(1, {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK,
                       F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS})),

    // Sockets: the link, attachments.
    checked(SYS_socket, "socket", "to register again with a new supervisor", one_of(0, {AF_UNIX})),
    plain(SYS_connect, "connect", "to register again with a new supervisor"),
    plain(SYS_sendmsg, "sendmsg", "link messages, frames, ring descriptors"),
    plain(SYS_recvmsg, "recvmsg", "link messages, frames, attachments"),
    plain(SYS_sendto, "sendto", "send(3) on attachments"),
    plain(SYS_recvfrom, "recvfrom", "recv(3) on attachments"),
    checked(SYS_getsockopt, "getsockopt", "socket type and errors", one_of(1, {SOL_SOCKET})),

    // The loop.
    plain(SYS_epoll_create1, "epoll_create1", "event loop"),
    plain(SYS_epoll_ctl, "epoll_ctl", "event loop"),
    plain(SYS_epoll_wait, "epoll_wait", "event loop"),
    plain(SYS_eventfd2, "eventfd2", "wake-ups, doorbells that a client rings"),
    plain(SYS_pipe2, "pipe2", "the loop's signal pipe"),
    plain(SYS_poll, "poll", "waiting for one descriptor with a timeout"),
    checked(SYS_ioctl, "ioctl", "non-blocking, close-on-exec, bytes waiting",
            one_of(1, {FIONBIO, FIOCLEX, FIONREAD})),

    // Threads.
    checked(SYS_clone, "clone", "threads, never processes", masked(0, clone_mask, {clone_thread})),
    plain(SYS_futex, "futex", "locks, ring doorbells"),
    plain(SYS_set_robust_list, "set_robust_list", "thread start"),
    plain(SYS_rseq, "rseq", "thread start"),
    plain(SYS_set_tid_address, "set_tid_address", "program start"),
    plain(SYS_sched_yield, "sched_yield", "short spins"),
    plain(SYS_exit, "exit", "thread end"),

    // Signals.
    plain(SYS_rt_sigaction, "rt_sigaction", "handlers: process 1 ignores what it does not handle"),
    plain(SYS_rt_sigprocmask, "rt_sigprocmask", "thread start, abort"),
    plain(SYS_rt_sigreturn, "rt_sigreturn", "return from handlers"),
    plain(SYS_tgkill, "tgkill", "abort; the pid namespace holds nobody else"),

    // Time, identity, limits.
    plain(SYS_restart_syscall, "restart_syscall", "goes on waiting after SIGSTOP and SIGCONT"),
    plain(SYS_clock_gettime, "clock_gettime", "time, where the vdso cannot tell"),
    plain(SYS_clock_nanosleep, "clock_nanosleep", "back-off"),
    plain(SYS_getpid, "getpid", "database locks"),
    plain(SYS_getrandom, "getrandom", "hash seeds, heap"),
    checked(SYS_prctl, "prctl", "thread names; not dumpable (before the second stage)",
            one_of(0, {PR_SET_NAME, PR_SET_DUMPABLE, PR_GET_DUMPABLE, PR_GET_NAME})),
    checked(SYS_arch_prctl, "arch_prctl", "thread pointer at program start",
            one_of(0, {ARCH_SET_FS, arch_cet_status})),
    checked(SYS_prlimit64, "prlimit64", "reads own limits: size of stacks", one_of(0, {0}),
            is_null(2)),
    checked(SYS_seccomp, "seccomp", "the second stage", one_of(0, {SECCOMP_SET_MODE_FILTER})),
    // Between the jail and the program; the second stage takes it away.
    checked(SYS_execveat, "execveat", "the jail executes the program",
            one_of(0, {static_cast<std::uint32_t>(program_fd)}), one_of(4, {AT_EMPTY_PATH})),
    plain(SYS_exit_group, "exit_group", "the end"),
};
static_assert(table.size() <= max_allowed_syscalls);

constexpr auto with_libraries = [] {
  auto copy = table;
  copy[0].reason = "as above, and the loader's mapping of libraries; never writable and executable";
  copy[0].checks[0] = masked(2, write_and_exec, {0, PROT_WRITE, PROT_EXEC});
  return copy;
}();

constexpr SyscallRule replaced(const SyscallRule& rule) {
  switch (rule.number) {
    case SYS_socket: {
      SyscallRule copy = rule;
      copy.or_next = true;  // an internet socket is the last rule
      return copy;
    }
    case SYS_getsockopt:
      return checked(SYS_getsockopt, "getsockopt", "socket type and errors, state of TCP",
                     one_of(1, {SOL_SOCKET, IPPROTO_TCP}));
    // A first segment that goes out with sendto(2) is no connect(2) to Landlock.
    case SYS_sendto:
      return checked(SYS_sendto, "sendto", "datagrams; TCP connects first",
                     masked(3, MSG_FASTOPEN, {0}));
    case SYS_sendmsg:
      return checked(SYS_sendmsg, "sendmsg", "datagrams; TCP connects first",
                     masked(2, MSG_FASTOPEN, {0}));
    default:
      return rule;
  }
}

constexpr SyscallRule internet_socket() {
  SyscallRule rule = checked(
      SYS_socket, "socket", "the internet: TCP and UDP, never raw", one_of(0, {AF_INET, AF_INET6}),
      masked(1, ~std::uint32_t{SOCK_NONBLOCK | SOCK_CLOEXEC}, {SOCK_STREAM, SOCK_DGRAM}));
  rule.checks[rule.check_count++] = one_of(2, {0, IPPROTO_TCP, IPPROTO_UDP});
  return rule;
}

constexpr std::size_t internet_rules = 4;

// The socket rules stand together: the second is asked when the first says no.
template <std::size_t N>
constexpr auto with_internet(const std::array<SyscallRule, N>& base) {
  std::array<SyscallRule, N + internet_rules> out{};
  std::size_t at = 0;
  for (const SyscallRule& rule : base) {
    out[at++] = replaced(rule);
    if (rule.number == SYS_socket) out[at++] = internet_socket();
  }
  out[at] = checked(SYS_setsockopt, "setsockopt", "probes of a silent peer",
                    one_of(1, {SOL_SOCKET}), one_of(2, {SO_KEEPALIVE}));
  out[at++].or_next = true;
  out[at++] = checked(SYS_setsockopt, "setsockopt", "delays and time limits of TCP",
                      one_of(1, {IPPROTO_TCP}),
                      one_of(2, {TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT,
                                 TCP_QUICKACK, TCP_USER_TIMEOUT}));
  out[at++] = plain(SYS_shutdown, "shutdown", "the end of what is sent");
  return out;
}
constexpr auto internet_table = with_internet(table);
constexpr auto internet_with_libraries = with_internet(with_libraries);

constexpr std::array refused = {
    RefusedSyscall{SYS_clone3, ENOSYS, "clone3",
                   "glibc falls back to clone, whose flags are visible"},
    RefusedSyscall{SYS_readlink, ENOENT, "readlink", "static start-up asks for /proc/self/exe"},
    RefusedSyscall{SYS_fchown, EPERM, "fchown",
                   "SQLite as uid 0 of its namespace; ignores failure"},
    RefusedSyscall{SYS_geteuid, 1, "geteuid", "SQLite asks before fchown"},
};

}  // namespace

std::span<const SyscallRule> allowed_syscalls() { return table; }
std::span<const SyscallRule> allowed_syscalls_with_libraries() { return with_libraries; }
std::span<const SyscallRule> allowed_syscalls_with_internet(bool libraries) {
  if (libraries) return internet_with_libraries;
  return internet_table;
}
std::span<const RefusedSyscall> refused_syscalls() { return refused; }

}  // namespace tenantd
