// A program's stdout and stderr: read without blocking, cut into lines, bounded in rate.
//
// Runs in: supervisor. The writer is hostile; it can fill its pipe and wait, no more: a bounded
// number of bytes is read a turn, and lines over the rate are counted, not kept.
#pragma once

#include <functional>
#include <memory>

#include "shared/loop/loop.h"
#include "shared/os/fd.h"
#include "supervisor/log/line_splitter.h"
#include "supervisor/log/read_budget.h"

namespace tenantd {

class LogReader {
 public:
  static constexpr std::uint64_t window_ms = 100;

  // `suppressed`: lines dropped by the rate bound before this one.
  using OnLine = std::function<void(std::string_view line, std::uint64_t suppressed)>;

  // Owns `pipe`, the read end. Error: what the loop says.
  [[nodiscard]] static Result<std::unique_ptr<LogReader>> create(Loop& loop, UniqueFd pipe,
                                                                 std::uint32_t lines_per_second,
                                                                 OnLine on_line);
  // Reads what is in the pipe (at most a pipe's capacity): the writer has died.
  void drain();

 private:
  LogReader(Loop& loop, UniqueFd pipe, std::uint32_t lines_per_second, OnLine on_line);
  void take_line(std::string_view line);
  void on_readable();
  void start_window();
  // False at the end of the pipe.
  [[nodiscard]] bool read_once();

  UniqueFd pipe_;
  OnLine on_line_;
  LineRate rate_;
  LineSplitter splitter_;
  Poll poll_;
  Timer window_;  // runs from a window's first byte to its end
  ReadBudget budget_;
};

// A pipe whose ends are CLOEXEC and do not block: a supervisor that does not read stops no writer.
struct LogPipeEnds {
  UniqueFd read_end;
  UniqueFd write_end;
};
[[nodiscard]] Result<LogPipeEnds> make_log_pipe();

}  // namespace tenantd
