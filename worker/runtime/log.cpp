#include "worker/runtime/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

std::string_view level_name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      break;
  }
  return "error";
}

void append_quoted(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') line += '\\';
    line += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  line += '"';
}

// A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)), and this process is
// its only writer. O_NONBLOCK is not used: whoever shares the open file would get it as well.
bool write_now(int fd, std::string_view line) noexcept {
  pollfd ready{fd, POLLOUT, 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace

bool Logger::admit() noexcept {
  constexpr std::uint64_t ns_per_line = 1'000'000'000 / lines_per_second;
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t earned = (now - refilled_ns_) / ns_per_line;
  if (earned > 0) {
    tokens_ = std::min(burst_lines, tokens_ + std::min(earned, burst_lines));
    refilled_ns_ = now;
  }
  if (tokens_ == 0) return false;
  --tokens_;
  return true;
}

void Logger::write(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields) {
  if (!admit()) {
    ++lost_;
    return;
  }
  std::string line;
  line.reserve(256);
  line.append("level=").append(level_name(level)).append(" msg=");
  append_quoted(line, message);
  for (const LogField& field : fields) {
    line.append(" ").append(field.key).append("=");
    if (field.is_number) {
      line += std::to_string(field.number);
    } else {
      append_quoted(line, field.text);
    }
  }
  if (lost_ > 0) line.append(" lines_lost=").append(std::to_string(lost_));
  if (line.size() >= max_line_bytes) line.resize(max_line_bytes - 1);
  line += '\n';
  if (write_now(fd_, line)) {
    lost_ = 0;
  } else {
    ++lost_;
  }
}

}  // namespace tenantd
