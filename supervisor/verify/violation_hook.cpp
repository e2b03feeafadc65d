#include "supervisor/verify/violation_hook.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "supervisor/config/secure_file.h"
#include "supervisor/launch/clone_child.h"

namespace tenantd {
namespace {

constexpr ProgramBounds hook_bounds{.messages_per_second = 1, .log_lines_per_second = 10};
constexpr int exit_not_executed = 127;

Status check_program(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == 0 ? "/" : path.substr(0, slash);
  const auto directory = open_secure_directory(above, ::geteuid());
  if (!directory) return tl::unexpected(directory.error());
  const auto info = check_secure_file(directory->get(), above, path.substr(slash + 1), ::geteuid());
  if (!info) return tl::unexpected(info.error());
  if ((info->st_mode & 0111) == 0) {
    return fail(ErrorCode::permission_denied, path + " is not executable");
  }
  return {};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// In a copy of the supervisor: async-signal-safe calls only, and no way back.
[[noreturn]] void run_in_child(int null, int output, const char* program, char* const* arguments,
                               char* const* environment) noexcept {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) (void)::sigaction(signal, &standard, nullptr);
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::setsid();
  const bool placed = ::dup2(null, 0) == 0 && ::dup2(output, 1) == 1 && ::dup2(output, 2) == 2 &&
                      ::close_range(3, ~0U, 0) == 0;
  if (placed) (void)::execve(program, arguments, environment);
  ::_exit(exit_not_executed);
}

}  // namespace

ViolationHook::ViolationHook(Loop& loop, Note note)
    : loop_(loop), note_(std::move(note)), timeout_(loop) {}

ViolationHook::~ViolationHook() { stop(); }

void ViolationHook::stop() {
  stopped_ = true;
  waiting_.clear();
  timeout_.stop();
  if (!process_) return;
  kill_session();
  (void)reap_child(process_->pid());
  process_.reset();
}

// Our child, not reaped: its number, and that of the session it has made, are still its own.
void ViolationHook::kill_session() noexcept {
  (void)::kill(-process_->pid(), SIGKILL);
  process_->kill();
}

void ViolationHook::run(const std::string& program, std::string_view tenant,
                        const std::vector<std::string_view>& failures) {
  if (program.empty() || stopped_) return;
  if (waiting_.size() >= max_waiting) {
    return note_(true, "on_violation was not run: too many wait", tenant);
  }
  Call call{program, std::string(tenant), {program, std::string(tenant)}};
  for (const std::string_view name : failures) call.arguments.emplace_back(name);
  waiting_.push_back(std::move(call));
  start_next();
}

void ViolationHook::start_next() {
  while (!process_ && !waiting_.empty()) {
    const Call call = std::move(waiting_.front());
    waiting_.pop_front();
    if (const Status started = start(call); !started) {
      note_(true, "on_violation was not run: " + started.error().describe(), call.tenant);
    }
  }
}

Status ViolationHook::start(const Call& call) {
  if (Status sound = check_program(call.program); !sound) return sound;
  auto pipe = make_log_pipe();
  if (!pipe) return tl::unexpected(pipe.error());
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return fail_errno("open /dev/null", errno);
  std::vector<std::string> texts = call.arguments;
  std::vector<std::string> variables = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "TENANTD_TENANT=" + call.tenant};
  const auto arguments = pointers(texts);
  const auto environment = pointers(variables);
  auto child = clone_child(0);
  if (!child) return tl::unexpected(child.error());
  if (child->pid == 0) {
    run_in_child(null.get(), pipe->write_end.get(), call.program.c_str(), arguments.data(),
                 environment.data());
  }
  const pid_t pid = child->pid;
  tenant_ = call.tenant;
  late_ = false;
  ProgramCallbacks callbacks;
  callbacks.on_message = [](std::span<const std::byte>) {};
  callbacks.on_link_ended = [](bool) {};
  callbacks.on_line = [this](std::string_view line, std::uint64_t) {
    note_(false, "on_violation says: " + std::string(line), tenant_);
  };
  callbacks.on_died = [this](const DeathCause& cause) { on_died(cause); };
  auto process =
      ProgramProcess::watch(loop_, pid, std::move(child->pidfd), UniqueFd(),
                            std::move(pipe->read_end), hook_bounds, std::move(callbacks));
  if (!process) {
    (void)::kill(pid, SIGKILL);
    (void)reap_child(pid);
    return tl::unexpected(process.error());
  }
  process_ = std::move(*process);
  timeout_.start(timeout_ms, [this] {
    late_ = true;
    kill_session();
  });
  return {};
}

void ViolationHook::on_died(const DeathCause& cause) {
  timeout_.stop();
  const bool done = cause.kind == DeathCause::Kind::exited && cause.value == 0;
  if (late_) {
    note_(true, "on_violation was killed: it took too long", tenant_);
  } else if (!done) {
    note_(true, "on_violation: " + cause.describe(), tenant_);
  } else {
    note_(false, "on_violation was run", tenant_);
  }
  process_.reset();
  start_next();
}

}  // namespace tenantd
