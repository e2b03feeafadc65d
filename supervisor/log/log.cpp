#include "supervisor/log/log.h"

#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

spdlog::level::level_enum native(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warn", "error"};

std::string_view level_name(LogLevel level) noexcept {
  return level_names[static_cast<std::size_t>(level)];
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += byte;
    } else if (value < 0x20 || value == 0x7f) {
      out += "\\u00";
      out += digits[value >> 4U];
      out += digits[value & 15U];
    } else {
      out += byte;
    }
  }
  out += '"';
}

std::string json_line(LogLevel level, std::string_view message, const LogFields& fields) {
  std::string line = "{\"time\":\"" + format_utc(wall_clock_ms()) + "\",\"level\":\"";
  line += level_name(level);
  line += '"';
  const auto text = [&line](const char* key, std::string_view value) {
    if (value.empty()) return;
    line += ",\"";
    line += key;
    line += "\":";
    append_json_string(line, value);
  };
  const auto number = [&line](const char* key, std::uint64_t value) {
    if (value == 0) return;
    line += ",\"";
    line += key;
    line += "\":" + std::to_string(value);
  };
  text("tenant", fields.tenant);
  text("source", fields.source);
  number("pid", static_cast<std::uint64_t>(std::max(fields.pid, 0)));
  number("generation", fields.generation);
  number("suppressed", fields.suppressed);
  text("message", message);
  return line + '}';
}

std::string text_line(LogLevel level, std::string_view message, const LogFields& fields) {
  std::string line = format_utc(wall_clock_ms()) + ' ';
  line += level_name(level);
  if (!fields.tenant.empty()) (line += " tenant=") += fields.tenant;
  if (!fields.source.empty()) (line += " source=") += fields.source;
  if (fields.pid > 0) line += " pid=" + std::to_string(fields.pid);
  if (fields.generation != 0) line += " generation=" + std::to_string(fields.generation);
  if (fields.suppressed != 0) line += " suppressed=" + std::to_string(fields.suppressed);
  line += ": ";
  // A newline in a message must not look like another record.
  for (const char byte : message) line += byte == '\n' ? ' ' : byte;
  return line;
}

}  // namespace

// One write(2) a line, at most PIPE_BUF bytes: a pipe or terminal that poll(2) calls writable takes
// that much without blocking; a socket is asked not to block; a file never does.
class Log::Sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit Sink(int fd) : fd_(fd) {
    struct stat info {};
    is_socket_ = ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
  }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    static constexpr std::size_t max_line_bytes = 4096;
    std::string line(message.payload.data(), std::min(message.payload.size(), max_line_bytes - 32));
    if (unreported_ > 0) line += " (" + std::to_string(unreported_) + " lines lost)";
    line += '\n';
    if (write_now(line)) {
      unreported_ = 0;
      return;
    }
    ++dropped_;
    ++unreported_;
  }
  void flush_() override {}

 private:
  [[nodiscard]] bool write_now(const std::string& line) const {
    if (is_socket_) {
      return ::send(fd_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
             static_cast<ssize_t>(line.size());
    }
    pollfd ready{fd_, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
    return ::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  }

  int fd_;
  bool is_socket_ = false;
  std::uint64_t dropped_ = 0;
  std::uint64_t unreported_ = 0;
};

std::optional<LogFormat> parse_log_format(std::string_view name) {
  if (name == "text") return LogFormat::text;
  if (name == "json") return LogFormat::json;
  return std::nullopt;
}

std::optional<LogLevel> parse_log_level(std::string_view name) {
  const auto* const found = std::find(level_names.begin(), level_names.end(), name);
  if (found == level_names.end()) return std::nullopt;
  return static_cast<LogLevel>(found - level_names.begin());
}

Log::Log(int fd, LogFormat format, LogLevel level)
    : format_(format),
      sink_(std::make_shared<Sink>(fd)),
      logger_(std::make_shared<spdlog::logger>("tenantd", sink_)) {
  logger_->set_level(native(level));
}

Log::~Log() = default;

void Log::set_level(LogLevel level) { logger_->set_level(native(level)); }

void Log::write(LogLevel level, std::string_view message, const LogFields& fields) {
  if (!logger_->should_log(native(level))) return;
  logger_->log(native(level), format_ == LogFormat::json ? json_line(level, message, fields)
                                                         : text_line(level, message, fields));
}

std::uint64_t Log::dropped() const noexcept { return sink_->dropped(); }

}  // namespace tenantd
