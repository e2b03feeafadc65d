#include "supervisor/process/program_process.h"

#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace tenantd {
namespace {

// What waitid(2) says. A survivor is nobody's child of ours: ECHILD, and the cause stays unknown.
DeathCause reap(int pidfd) {
  siginfo_t info{};
  DeathCause cause;
  if (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
               WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0) {
    return cause;
  }
  cause.kind = info.si_code == CLD_EXITED ? DeathCause::Kind::exited : DeathCause::Kind::signalled;
  cause.value = info.si_status;
  return cause;
}

}  // namespace

ProgramProcess::ProgramProcess(Loop& loop, pid_t pid, UniqueFd pidfd, const ProgramBounds& bounds,
                               ProgramCallbacks callbacks)
    : loop_(loop),
      pid_(pid),
      pidfd_(std::move(pidfd)),
      bounds_(bounds),
      callbacks_(std::move(callbacks)),
      later_(loop),
      closed_link_(loop),
      message_rate_(bounds.messages_per_second) {}

Result<std::unique_ptr<ProgramProcess>> ProgramProcess::watch(Loop& loop, pid_t pid, UniqueFd pidfd,
                                                              UniqueFd link, UniqueFd log,
                                                              const ProgramBounds& bounds,
                                                              ProgramCallbacks callbacks) {
  std::unique_ptr<ProgramProcess> process(
      new ProgramProcess(loop, pid, std::move(pidfd), bounds, std::move(callbacks)));
  auto* const self = process.get();
  Status started = self->pidfd_poll_.start(loop, self->pidfd_.get(), UV_READABLE,
                                           [self](int) { self->on_pidfd(); });
  if (started && link) started = self->open_link(std::move(link));
  if (started && log) started = self->open_log(std::move(log));
  if (!started) return tl::unexpected(started.error());
  return process;
}

Status ProgramProcess::open_link(UniqueFd link) {
  auto channel = LinkChannel::create(
      loop_, std::move(link), LinkChannel::Descriptors::refuse,
      [this](std::span<const std::byte> packet, UniqueFd) { on_packet(packet); },
      [this] { end_link(false); });
  if (!channel) return tl::unexpected(channel.error());
  link_ = std::move(*channel);
  return {};
}

Status ProgramProcess::open_log(UniqueFd log) {
  auto reader = LogReader::create(loop_, std::move(log), bounds_.log_lines_per_second,
                                  [this](std::string_view line, std::uint64_t suppressed) {
                                    callbacks_.on_line(line, suppressed);
                                  });
  if (!reader) return tl::unexpected(reader.error());
  log_ = std::move(*reader);
  return {};
}

Result<UniqueFd> ProgramProcess::connect(UniqueFd link) {
  auto pipe = make_log_pipe();
  if (!pipe) return tl::unexpected(pipe.error());
  if (Status opened = open_log(std::move(pipe->read_end)); !opened) {
    return tl::unexpected(opened.error());
  }
  if (Status opened = open_link(std::move(link)); !opened) return tl::unexpected(opened.error());
  return std::move(pipe->write_end);
}

void ProgramProcess::on_packet(std::span<const std::byte> packet) {
  if (link_ended_) return;
  if (!message_rate_.allow(monotonic_ns() / 1'000'000)) return end_link(true);
  callbacks_.on_message(packet);
}

// The channel is in the middle of a call: it is destroyed in the next turn.
void ProgramProcess::end_link(bool flooded) {
  if (std::exchange(link_ended_, true)) return;
  if (dead_) return;
  later_.start(0, [this] { link_.reset(); });
  if (flooded) return callbacks_.on_link_ended(true);
  closed_link_.start(closed_link_grace_ms, [this] { callbacks_.on_link_ended(false); });
}

// What it said before it died is in the same turn's events: the word of death comes in the next.
void ProgramProcess::on_pidfd() {
  dead_ = true;
  pidfd_poll_.close();
  closed_link_.stop();
  later_.start(0, [this] { conclude(); });
}

void ProgramProcess::conclude() {
  if (log_) log_->drain();
  link_.reset();
  const DeathCause cause = reap(pidfd_.get());
  const auto on_died = std::exchange(callbacks_.on_died, nullptr);
  on_died(cause);
}

void ProgramProcess::kill() noexcept { (void)signal_pidfd(pidfd_.get(), SIGKILL); }

}  // namespace tenantd
