// Bytes of a pipe into lines of bounded length.
//
// Runs in: supervisor, on what a worker writes to its stdout and stderr. The bytes are hostile:
// control characters are made visible, so that a worker cannot write escape sequences to an
// operator's terminal or forge a second log line.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace tenantd {

class LineSplitter {
 public:
  static constexpr std::size_t max_line_bytes = 511;  // what LogLine::text holds

  using OnLine = std::function<void(std::string_view line)>;
  explicit LineSplitter(OnLine on_line) : on_line_(std::move(on_line)) {}

  // Calls back for each completed line. A longer line is cut, ends with "..." and its rest is
  // dropped. What is no printable UTF-8 becomes \xNN, so a line can go into any log as it is.
  void feed(std::string_view bytes);
  // The unfinished last line, if any: the pipe is at its end.
  void finish();

 private:
  void end_line();

  OnLine on_line_;
  std::string raw_;  // at most max_line_bytes
  bool overlong_ = false;
};

// At most `per_second` lines a second with a burst of the same size; counts what it turns away.
class LineRate {
 public:
  explicit LineRate(std::uint32_t per_second) noexcept
      : per_second_(per_second), tokens_milli_(std::uint64_t{per_second} * 1000) {}
  // True: the line may pass, and `suppressed_before()` tells how many were turned away before it.
  [[nodiscard]] bool allow(std::uint64_t now_ms) noexcept;
  // Lines turned away since the last call.
  [[nodiscard]] std::uint64_t take_suppressed() noexcept;

 private:
  std::uint32_t per_second_;
  std::uint64_t tokens_milli_;  // thousandths of a line
  std::uint64_t last_ms_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace tenantd
