// One live confined program seen from outside: its pidfd, its link, its log pipe.
//
// Runs in: supervisor, for workers and control alike. The program is hostile: its messages are
// bounded in rate, its lines in length and rate, and a dead one is told once.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "shared/channel/link_channel.h"
#include "shared/loop/loop.h"
#include "shared/os/fd.h"
#include "supervisor/log/log_reader.h"
#include "supervisor/tenant/worker.h"

namespace tenantd {

struct ProgramCallbacks {
  // A whole packet, not validated yet. None of the callbacks may destroy the process but on_died.
  std::function<void(std::span<const std::byte> packet)> on_message;
  // Its messages came faster than the bound (`flooded`), or the link is closed and the program has
  // not died within closed_link_grace_ms: no more messages will come.
  std::function<void(bool flooded)> on_link_ended;
  std::function<void(std::string_view line, std::uint64_t suppressed)> on_line;
  // Reaped if it was our child. Called once, the last call; may destroy the process.
  std::function<void(const DeathCause& cause)> on_died;
};

struct ProgramBounds {
  std::uint32_t messages_per_second = 200;  // with a burst of as many
  std::uint32_t log_lines_per_second = 50;
};

class ProgramProcess {
 public:
  // A program that ends closes its link first: its death says more than the closed link.
  static constexpr std::uint64_t closed_link_grace_ms = 1000;

  // Watches a process; `link` and `log` may be empty (a survivor that has not registered).
  [[nodiscard]] static Result<std::unique_ptr<ProgramProcess>> watch(Loop& loop, pid_t pid,
                                                                     UniqueFd pidfd, UniqueFd link,
                                                                     UniqueFd log,
                                                                     const ProgramBounds& bounds,
                                                                     ProgramCallbacks callbacks);

  // A survivor registered on `link`. Returns the write end of its new log pipe.
  [[nodiscard]] Result<UniqueFd> connect(UniqueFd link);

  template <class T>
  [[nodiscard]] Status send(const T& message, UniqueFd descriptor = UniqueFd()) {
    if (!link_) return fail(ErrorCode::unavailable, "the program has no link");
    return link_->send(message, std::move(descriptor));
  }
  void kill() noexcept;  // SIGKILL through the pidfd
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool linked() const noexcept { return link_ != nullptr; }
  [[nodiscard]] std::size_t queued() const noexcept { return link_ ? link_->queued() : 0; }

 private:
  ProgramProcess(Loop& loop, pid_t pid, UniqueFd pidfd, const ProgramBounds& bounds,
                 ProgramCallbacks callbacks);
  [[nodiscard]] Status open_link(UniqueFd link);
  [[nodiscard]] Status open_log(UniqueFd log);
  void on_packet(std::span<const std::byte> packet);
  void end_link(bool flooded);
  void on_pidfd();
  void conclude();

  Loop& loop_;
  pid_t pid_;
  UniqueFd pidfd_;
  ProgramBounds bounds_;
  ProgramCallbacks callbacks_;
  Poll pidfd_poll_;
  Timer later_;        // what must not happen inside a callback of the link, and the word of death
  Timer closed_link_;  // until a closed link is told
  LineRate message_rate_;
  std::unique_ptr<LinkChannel> link_;
  bool link_ended_ = false;
  bool dead_ = false;
  std::unique_ptr<LogReader> log_;
};

}  // namespace tenantd
