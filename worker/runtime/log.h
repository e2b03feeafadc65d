// The worker's log: one line an event on standard error, which the supervisor reads by line.
//
// Runs in: worker, loop thread only. Never blocks: a line that a full or broken pipe does not take
// at once is lost and counted. Bounded in rate, so that no peer can make a worker flood its
// supervisor.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace tenantd {

enum class LogLevel : std::uint8_t { info, warning, error };

struct LogField {
  constexpr LogField(std::string_view name, std::string_view text_value) noexcept
      : key(name), text(text_value) {}
  constexpr LogField(std::string_view name, std::uint64_t number_value) noexcept
      : key(name), number(number_value), is_number(true) {}
  std::string_view key;
  std::string_view text;
  std::uint64_t number = 0;
  bool is_number = false;
};

class Logger {
 public:
  static constexpr std::size_t max_line_bytes = 1024;  // < PIPE_BUF: a line is written whole or not
  static constexpr std::uint64_t burst_lines = 50;
  static constexpr std::uint64_t lines_per_second = 10;

  explicit Logger(int fd) noexcept : fd_(fd) {}

  // level=info msg="..." key=value. Quotes and control characters in values are escaped.
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
  // Not yet reported lines that were suppressed or not taken by the pipe.
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  [[nodiscard]] bool admit() noexcept;

  int fd_;
  std::uint64_t tokens_ = burst_lines;
  std::uint64_t refilled_ns_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace tenantd
