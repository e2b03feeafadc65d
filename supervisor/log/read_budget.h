// What one program's pipe may make the supervisor do: bytes and lines, a window at a time.
//
// Runs in: supervisor. Pure. A line costs more than its bytes, so a flood of short ones is paid for
// in windows to come: more waits in the pipe.
#pragma once

#include <algorithm>
#include <cstddef>

namespace tenantd {

class ReadBudget {
 public:
  static constexpr std::size_t window_bytes = 64UL << 10U;
  // A line is cut, made visible and counted: as much work as copying so many bytes.
  static constexpr std::size_t bytes_a_line = 64;

  void charge(std::size_t bytes, std::size_t lines) noexcept {
    used_ += bytes + lines * bytes_a_line;
  }
  [[nodiscard]] bool exhausted() const noexcept { return used_ >= window_bytes; }
  [[nodiscard]] bool unused() const noexcept { return used_ == 0; }
  void next_window() noexcept { used_ -= std::min(used_, window_bytes); }

 private:
  std::size_t used_ = 0;
};

}  // namespace tenantd
