#include "supervisor/log/log_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {

LogReader::LogReader(Loop& loop, UniqueFd pipe, std::uint32_t lines_per_second, OnLine on_line)
    : pipe_(std::move(pipe)),
      on_line_(std::move(on_line)),
      rate_(lines_per_second),
      splitter_([this](std::string_view line) { take_line(line); }),
      window_(loop) {}

Result<std::unique_ptr<LogReader>> LogReader::create(Loop& loop, UniqueFd pipe,
                                                     std::uint32_t lines_per_second,
                                                     OnLine on_line) {
  const int flags = ::fcntl(pipe.get(), F_GETFL);
  if (flags < 0 || ::fcntl(pipe.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno("fcntl log pipe", errno);
  }
  std::unique_ptr<LogReader> reader(
      new LogReader(loop, std::move(pipe), lines_per_second, std::move(on_line)));
  auto* const self = reader.get();
  const Status started = self->poll_.start(loop, self->pipe_.get(), UV_READABLE | UV_DISCONNECT,
                                           [self](int) { self->on_readable(); });
  if (!started) return tl::unexpected(started.error());
  return reader;
}

void LogReader::on_readable() {
  if (!read_once()) return poll_.close();
  if (!window_.active()) start_window();
  if (budget_.exhausted()) poll_.change(0);
}

void LogReader::start_window() {
  window_.start(window_ms, [this] {
    const bool paused = budget_.exhausted();
    budget_.next_window();
    if (!budget_.unused()) start_window();
    if (paused && !budget_.exhausted()) poll_.change(UV_READABLE | UV_DISCONNECT);
  });
}

bool LogReader::read_once() {
  std::array<char, 16UL << 10U> buffer;
  const ssize_t n = ::read(pipe_.get(), buffer.data(), buffer.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    splitter_.finish();
    return false;
  }
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
  budget_.charge(bytes.size(),
                 static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n')));
  splitter_.feed(bytes);
  return true;
}

void LogReader::drain() {
  for (int i = 0; i < 8; ++i) {
    if (!read_once()) break;
  }
  splitter_.finish();
}

void LogReader::take_line(std::string_view line) {
  if (rate_.allow(monotonic_ns() / 1'000'000)) on_line_(line, rate_.take_suppressed());
}

Result<LogPipeEnds> make_log_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno("pipe2", errno);
  return LogPipeEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace tenantd
