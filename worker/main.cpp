// tenantd-worker: one tenant's router, confined by tenantd-jail, talking to its supervisor and
// clients.
//
// Trusts its launch spec and, within the contract, its link. Needs neither /proc, /dev, /etc nor an
// environment. usage: tenantd-worker [--data DIR] [--encoders DIR] [--link PATH]
// [--handshake-timeout-ms N] [--stall-timeout-ms N]; the flags are for development outside a
// sandbox, with descriptors 3 and 4 as in process_contract.h.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "shared/os/lockdown.h"
#include "worker/runtime/launch.h"
#include "worker/runtime/worker.h"

namespace {

using namespace tenantd;

void keep_memory_small() {
  // One arena for both threads, and freed memory back to the kernel early: a host has many idle
  // workers.
  (void)::mallopt(M_ARENA_MAX, 1);
  (void)::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  (void)::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}

bool parse_number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_flags(int argc, char** argv, WorkerOptions& options) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc) return false;
    const std::string_view flag = argv[i];
    const std::string_view value = argv[i + 1];
    if (flag == "--data") {
      options.data_directory = value;
    } else if (flag == "--encoders") {
      options.encoder_directory = value;
    } else if (flag == "--link") {
      options.link_socket_path = value;
    } else if (flag == "--handshake-timeout-ms") {
      if (!parse_number(value, options.handshake_timeout_ms)) return false;
    } else if (flag == "--stall-timeout-ms") {
      if (!parse_number(value, options.stall_timeout_ms)) return false;
    } else {
      return false;
    }
  }
  return true;
}

Status lock_down() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return {};  // the sanitizer's runtime makes calls that the filter kills; such builds are never
              // shipped
#else
  return lock_down_self(true);
#endif
}

int run(Launch launch, WorkerOptions options) {
  options.spec = launch.spec;
  Loop loop;
  const std::uint64_t drain_timeout_ms = launch.spec.drain_timeout_ms;
  Worker worker(loop, launch.tenant, std::move(options), lock_down);
  const Signal terminate(loop, SIGTERM, [&worker, drain_timeout_ms](int) {
    worker.drain(DrainReason::stopping, drain_timeout_ms);
  });
  worker.start(UniqueFd(link_fd));
  worker.run();
  const int code = static_cast<int>(worker.exit_code());
  // An edit that the disk does not finish must not hold up the exit: the store survives this by
  // design.
  if (worker.must_leave_at_once()) std::_Exit(code);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  keep_memory_small();
  (void)::signal(SIGPIPE, SIG_IGN);
  Logger log(log_err_fd);
  WorkerOptions options;
  options.data_directory = data_path;
  options.link_socket_path = link_socket_path;
  options.encoder_directory = encoders_path;
  if (!parse_flags(argc, argv, options)) {
    log.write(LogLevel::error, "bad flags");
    return static_cast<int>(ExitCode::failed);
  }
  (void)::fcntl(link_fd, F_SETFD, FD_CLOEXEC);
  const UniqueFd spec_fd(launch_spec_fd);
  auto launch = read_launch(spec_fd.get());
  if (!launch) {
    log.write(LogLevel::error, "bad launch spec", {{"reason", launch.error().describe()}});
    return static_cast<int>(ExitCode::bad_launch_spec);
  }
  return run(std::move(*launch), std::move(options));
}
