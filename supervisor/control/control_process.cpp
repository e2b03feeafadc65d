#include "supervisor/control/control_process.h"

#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {

ControlProcess::ControlProcess(ControlServices services, CommandTargets targets,
                               const DaemonConfig& config, std::uint64_t first_generation)
    : services_(std::move(services)),
      generation_(first_generation),
      random_(std::random_device{}()),
      commands_(services_.loop, std::move(targets), make_answers()),
      timer_(services_.loop) {
  configure(config);
}

ControlProcess::~ControlProcess() = default;

void ControlProcess::configure(const DaemonConfig& config) {
  restart_ = config.restart;
  tolerated_ = config.tolerated_layers();
  start_timeout_ms_ = config.start_timeout_ms;
  drain_timeout_ms_ = config.drain_timeout_ms;
}

template <class T>
void ControlProcess::answer(T message) {
  if (!process_) return;
  message.header.generation = generation_;
  (void)process_->send(message);  // the queue made sure of the room
}

CommandQueue::Answers ControlProcess::make_answers() {
  CommandQueue::Answers answers;
  answers.tenant = [this](const TenantRecord& record) { answer(record); };
  answers.done = [this](const CommandDone& done) { answer(done); };
  answers.probe = [this](const VerifyProbeRecord& record) { answer(record); };
  answers.posture = [this](const PostureRecord& record) {
    auto message = make_link_message<PostureRecord>(generation_);
    const LinkHeader header = message.header;
    message = record;
    message.header = header;
    answer(message);
  };
  answers.queued = [this] { return process_ ? process_->queued() : 0; };
  return answers;
}

Result<LaunchedProcess> ControlProcess::launch() {
  const auto uid = prepare_control_directory(services_.paths.state_dir, services_.uids);
  if (!uid) return tl::unexpected(uid.error());
  LaunchRequest request;
  request.spec.kind = ProgramKind::control;
  request.spec.open_files_limit = 4096;
  request.spec.file_size_limit_bytes = 1ULL << 30U;  // its ledger has a bounded number of rows
  set_data_files(request.spec, control_data_files);
  (void)request.spec.hostname.assign("control");
  request.program_path = services_.paths.control_program;
  request.jail_path = services_.paths.jail_program;
  request.data_directory = services_.paths.state_dir + "/control";
  request.uid = *uid;
  request.gid = *uid;
  request.tolerated = tolerated_;
  request.cgroup = CgroupName{std::nullopt, generation_};
  request.use_cgroup = services_.cgroups.mode() != CgroupMode::none;
  return services_.launcher.launch(request);
}

void ControlProcess::start() {
  ++generation_;
  ready_ = false;
  auto launched = launch();
  if (!launched) return retry_later("could not be started: " + launched.error().describe());
  const pid_t pid = launched->pid;
  ProgramCallbacks callbacks;
  callbacks.on_message = [this](std::span<const std::byte> packet) { on_message(packet); };
  callbacks.on_link_ended = [this](bool) { process_->kill(); };
  callbacks.on_line = [this, pid](std::string_view line, std::uint64_t suppressed) {
    services_.on_line(line, pid, suppressed);
  };
  callbacks.on_died = [this](const DeathCause& cause) { on_died(cause); };
  const ProgramBounds bounds{.messages_per_second = 2000, .log_lines_per_second = 50};
  auto process = ProgramProcess::watch(services_.loop, pid, std::move(launched->pidfd),
                                       std::move(launched->link), std::move(launched->log), bounds,
                                       std::move(callbacks));
  if (!process) {
    (void)::kill(pid, SIGKILL);  // our child, not reaped: the pid is still its own
    (void)::waitpid(pid, nullptr, 0);
    return retry_later("could not be watched: " + process.error().describe());
  }
  process_ = std::move(*process);
  timer_.start(start_timeout_ms_, [this] { process_->kill(); });
}

void ControlProcess::on_message(std::span<const std::byte> packet) {
  LinkHeader header;
  ConfinementReport report;
  Ready ready;
  Command command;
  if (packet.size() < sizeof header) return process_->kill();
  std::memcpy(static_cast<void*>(&header), packet.data(), sizeof header);
  if (header.generation != generation_) return;
  if (parse_link_message(packet, command)) {
    if (!ready_ || !commands_.take(command)) process_->kill();
  } else if (parse_link_message(packet, ready)) {
    if (std::exchange(ready_, true)) return;
    timer_.stop();
    services_.on_note(false, "control is ready", process_->pid());
    flush_events();
  } else if (parse_link_message(packet, report)) {
    if (report.failed_errno != 0 && report.reason.valid()) {
      services_.on_note(true, "control: " + std::string(report.reason.view()), process_->pid());
    }
  } else if (Drained drained; !parse_link_message(packet, drained)) {
    process_->kill();
  }
}

void ControlProcess::on_died(const DeathCause& cause) {
  const pid_t pid = process_->pid();
  process_.reset();
  commands_.clear();
  ready_ = false;
  services_.reaper.reap({std::nullopt, generation_});
  if (stopping_) {
    timer_.stop();
    return services_.on_gone();
  }
  services_.on_note(true, "control died: " + cause.describe(), pid);
  retry_later({});
}

void ControlProcess::retry_later(const std::string& why) {
  if (!why.empty()) services_.on_note(true, "control " + why, 0);
  if (stopping_) return services_.on_gone();
  const RestartDecision decision =
      restarts_.on_death(monotonic_ns() / 1'000'000, restart_, random_);
  // Administration is never given up: a crash loop goes on at the slowest pace.
  timer_.start(decision.quarantine ? restart_.backoff_max_ms : decision.delay_ms,
               [this] { start(); });
}

void ControlProcess::stop() {
  stopping_ = true;
  timer_.stop();
  if (!process_) return services_.on_gone();
  auto drain = make_link_message<Drain>(generation_);
  drain.reason = DrainReason::stopping;
  drain.timeout_ms = static_cast<std::uint32_t>(drain_timeout_ms_);
  if (!ready_ || !process_->send(drain)) return process_->kill();
  timer_.start(drain_timeout_ms_ + 1, [this] { process_->kill(); });
}

void ControlProcess::send_event(Event event) {
  if (events_.size() >= max_waiting_events) events_.pop_front();
  events_.push_back(event);
  flush_events();
}

void ControlProcess::flush_events() {
  if (!ready_) return;
  while (!events_.empty()) {
    events_.front().header.generation = generation_;
    if (!process_->send(events_.front())) break;  // its queue is full: with the next event
    events_.pop_front();
  }
}

void ControlProcess::send_line(LogLine line) {
  if (!ready_ || process_->queued() > max_queued_for_lines) {
    ++lines_dropped_;
    return;
  }
  line.header.generation = generation_;
  if (!process_->send(line)) ++lines_dropped_;
}

Status ControlProcess::attach(Attach attach, UniqueFd socket) {
  if (!ready_) return fail(ErrorCode::unavailable, "administration is starting");
  attach.header.generation = generation_;
  return process_->send(attach, std::move(socket));
}

}  // namespace tenantd
