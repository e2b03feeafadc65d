// The supervisor's own log: one line an event, text or JSON, with the tenant as a field.
//
// Runs in: supervisor. Writing never blocks: a line that standard error cannot take now is dropped
// and counted, and the next line that fits says how many were lost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "supervisor/config/daemon_config.h"

namespace spdlog {
class logger;
}

namespace tenantd {

// The names as in tenantd.toml. Nullopt: no such name.
[[nodiscard]] std::optional<LogFormat> parse_log_format(std::string_view name);
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view name);

// Beside the message. Zero and empty fields are left out.
struct LogFields {
  std::string_view tenant{};
  std::int32_t pid = 0;
  std::uint64_t generation = 0;
  std::uint64_t suppressed = 0;  // lines dropped before this one
  std::string_view source{};     // "worker": the message is a worker's own line
};

class Log {
 public:
  // Writes to `fd`, which outlives the log.
  Log(int fd, LogFormat format, LogLevel level);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void set_level(LogLevel level);
  void write(LogLevel level, std::string_view message, const LogFields& fields = {});
  void info(std::string_view message, const LogFields& fields = {}) {
    write(LogLevel::info, message, fields);
  }
  void warning(std::string_view message, const LogFields& fields = {}) {
    write(LogLevel::warn, message, fields);
  }
  void error(std::string_view message, const LogFields& fields = {}) {
    write(LogLevel::error, message, fields);
  }
  // Lines lost so far because the descriptor was full.
  [[nodiscard]] std::uint64_t dropped() const noexcept;

 private:
  class Sink;
  LogFormat format_;
  std::shared_ptr<Sink> sink_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace tenantd
