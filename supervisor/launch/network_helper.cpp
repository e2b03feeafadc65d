#include "supervisor/launch/network_helper.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "shared/contract/process_contract.h"
#include "shared/os/sealed_memfd.h"
#include "supervisor/launch/clone_child.h"

namespace tenantd {
namespace {

constexpr std::size_t place_count = 6;
constexpr int program_place = place_count;
static_assert(network_report_fd == 1 && network_plan_fd == 3 && network_worker_fd == 4 &&
              network_barrier_fd == 5);

// In a copy of the supervisor: async-signal-safe calls only, and no way back.
[[noreturn]] void run_in_child(std::array<int, place_count> sources, int program) noexcept {
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  // First out of the way of the places, then into them.
  bool placed = true;
  for (int& source : sources) {
    source = ::fcntl(source, F_DUPFD_CLOEXEC, safe_number);
    placed = placed && source >= 0;
  }
  program = ::fcntl(program, F_DUPFD_CLOEXEC, safe_number);
  for (std::size_t i = 0; placed && i < place_count; ++i) {
    placed = ::dup2(sources[i], static_cast<int>(i)) >= 0;
  }
  placed = placed && program >= 0 && ::dup3(program, program_place, O_CLOEXEC) >= 0 &&
           ::close_range(program_place + 1, ~0U, 0) == 0;
  if (placed) {
    char name[] = "tenantd-network";
    char* const arguments[] = {name, nullptr};
    char* const environment[] = {nullptr};
    (void)::syscall(SYS_execveat, program_place, "", arguments, environment, AT_EMPTY_PATH);
  }
  ::_exit(static_cast<int>(ExitCode::exec_failed));
}

}  // namespace

Result<NetworkHelper> start_network_helper(const std::string& program, const NetworkPlan& plan,
                                           int worker_pidfd, int barrier_write) {
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return fail_errno("open /dev/null", errno);
  const UniqueFd executable(::open(program.c_str(), O_PATH | O_CLOEXEC));
  if (!executable) {
    auto error = fail_errno("open " + program, errno);
    error.value().code = ErrorCode::not_found;
    return error;
  }
  const auto sealed = seal_record("tenantd-network-plan", plan);
  if (!sealed) return tl::unexpected(sealed.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("report pipe", errno);
  NetworkHelper helper;
  helper.report.reset(ends[0]);
  const UniqueFd report(ends[1]);
  auto child = clone_child(0);
  if (!child) return tl::unexpected(child.error());
  if (child->pid == 0) {
    run_in_child(
        {null.get(), report.get(), report.get(), sealed->get(), worker_pidfd, barrier_write},
        executable.get());
  }
  helper.pidfd = std::move(child->pidfd);
  return helper;
}

}  // namespace tenantd
