#include "supervisor/process/hook_runner.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "supervisor/config/secure_file.h"
#include "supervisor/launch/clone_child.h"

namespace tenantd {
namespace {

constexpr ProgramBounds hook_bounds{.messages_per_second = 1, .log_lines_per_second = 10};
constexpr int exit_not_executed = 127;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// In a copy of the supervisor: async-signal-safe calls only, and no way back.
[[noreturn]] void run_in_child(pid_t parent, int null, int output, const char* program,
                               char* const* arguments, char* const* environment) noexcept {
  // Nobody bounds its time once the supervisor is gone; which may have been before this call.
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) ::_exit(exit_not_executed);
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

struct HookRunner::Run {
  Run(Loop& loop, HookCall what) : call(std::move(what)), timeout(loop) {}
  // Our child, not reaped: its number, and that of the session it has made, are still its own.
  void kill_session() const noexcept {
    (void)::kill(-process->pid(), SIGKILL);
    process->kill();
  }

  HookCall call;
  std::unique_ptr<ProgramProcess> process;
  Timer timeout;
  bool late = false;
};

HookRunner::HookRunner(Loop& loop, const HookLimits& limits, Note note)
    : loop_(loop), limits_(limits), note_(std::move(note)) {}

HookRunner::~HookRunner() { stop(); }

void HookRunner::stop() {
  stopped_ = true;
  waiting_.clear();
  for (const Run& run : running_) {
    run.kill_session();
    (void)reap_child(run.process->pid());
  }
  running_.clear();
}

bool HookRunner::idle() const noexcept { return waiting_.empty() && running_.empty(); }

void HookRunner::run(HookCall call) {
  if (call.program.empty() || stopped_) return;
  const auto of_tenant =
      std::count_if(waiting_.begin(), waiting_.end(),
                    [&call](const HookCall& other) { return other.tenant == call.tenant; });
  if (waiting_.size() >= limits_.max_waiting ||
      static_cast<std::size_t>(of_tenant) >= limits_.max_waiting_per_tenant) {
    return note_(true, call.event + " was not run: too many wait", call.tenant);
  }
  waiting_.push_back(std::move(call));
  start_next();
}

bool HookRunner::is_running(const std::string& tenant) const {
  return std::any_of(running_.begin(), running_.end(),
                     [&tenant](const Run& run) { return run.call.tenant == tenant; });
}

void HookRunner::start_next() {
  while (running_.size() < limits_.max_running) {
    const auto next = std::find_if(waiting_.begin(), waiting_.end(), [this](const HookCall& call) {
      return !is_running(call.tenant);
    });
    if (next == waiting_.end()) return;
    HookCall call = std::move(*next);
    waiting_.erase(next);
    const std::string event = call.event;
    const std::string tenant = call.tenant;
    if (const Status started = start(std::move(call)); !started) {
      note_(true, event + " was not run: " + started.error().describe(), tenant);
    }
  }
}

Status HookRunner::start(HookCall call) {
  if (Status sound = check_secure_program(call.program, ::geteuid()); !sound) return sound;
  auto pipe = make_log_pipe();
  if (!pipe) return tl::unexpected(pipe.error());
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return fail_errno("open /dev/null", errno);
  std::vector<std::string> texts = {call.program, call.tenant};
  texts.insert(texts.end(), call.arguments.begin(), call.arguments.end());
  std::vector<std::string> variables = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "TENANTD_TENANT=" + call.tenant};
  if (call.generation > 0) {
    variables.push_back("TENANTD_EVENT=" + call.event);
    variables.push_back("TENANTD_GENERATION=" + std::to_string(call.generation));
  }
  const auto arguments = pointers(texts);
  const auto environment = pointers(variables);
  const pid_t self = ::getpid();
  auto child = clone_child(0);
  if (!child) return tl::unexpected(child.error());
  if (child->pid == 0) {
    run_in_child(self, null.get(), pipe->write_end.get(), call.program.c_str(), arguments.data(),
                 environment.data());
  }
  const pid_t pid = child->pid;
  Run& run = running_.emplace_back(loop_, std::move(call));
  ProgramCallbacks callbacks;
  callbacks.on_message = [](std::span<const std::byte>) {};
  callbacks.on_link_ended = [](bool) {};
  callbacks.on_line = [this, &run](std::string_view line, std::uint64_t) {
    note_(false, run.call.event + " says: " + std::string(line), run.call.tenant);
  };
  callbacks.on_died = [this, &run](const DeathCause& cause) { on_died(run, cause); };
  auto process =
      ProgramProcess::watch(loop_, pid, std::move(child->pidfd), UniqueFd(),
                            std::move(pipe->read_end), hook_bounds, std::move(callbacks));
  if (!process) {
    running_.pop_back();
    (void)::kill(pid, SIGKILL);
    (void)reap_child(pid);
    return tl::unexpected(process.error());
  }
  run.process = std::move(*process);
  run.timeout.start(limits_.timeout_ms, [&run] {
    run.late = true;
    run.kill_session();
  });
  return {};
}

void HookRunner::on_died(Run& run, const DeathCause& cause) {
  run.timeout.stop();
  const bool done = cause.kind == DeathCause::Kind::exited && cause.value == 0;
  const std::string tenant = run.call.tenant;
  const std::string event = run.call.event;
  const bool late = run.late;
  running_.remove_if([&run](const Run& other) { return &other == &run; });
  if (late) {
    note_(true, event + " was killed: it took too long", tenant);
  } else if (!done) {
    note_(true, event + ": " + cause.describe(), tenant);
  } else {
    note_(false, event + " was run", tenant);
  }
  start_next();
}

}  // namespace tenantd
