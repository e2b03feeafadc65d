// Whether to look at the ring for a while before sleeping.
//
// Runs in: worker, client library. A wake-up costs 11-13 µs each way on an idle CPU, so waiting
// awake pays when the peer answers soon from another CPU; on the same CPU it only keeps the peer
// from running. The peer's CPU is its own claim: a lie costs this side at most the budget, and long
// gaps end spinning.
#pragma once

#include <cstdint>

namespace tenantd {

class AdaptiveSpin {
 public:
  static constexpr std::uint64_t budget_ns = 25'000;     // one wait's spinning, about two wake-ups
  static constexpr std::uint64_t short_gap_ns = 60'000;  // a gap with a wake-up at both ends

  // True when the peer runs elsewhere and recent gaps were short.
  [[nodiscard]] bool should_spin(std::uint32_t own_cpu, std::uint32_t peer_cpu) const noexcept {
    return own_cpu != peer_cpu && gap_ns_ <= short_gap_ns;
  }
  // How long this side had nothing to do before the last frame came, asleep or not.
  void record_gap(std::uint64_t gap_ns) noexcept {
    constexpr std::uint64_t most =
        4 * short_gap_ns;  // one long pause is forgotten in a few short ones
    const std::uint64_t capped = gap_ns < most ? gap_ns : most;
    gap_ns_ = (3 * gap_ns_ + capped) / 4;
  }
  [[nodiscard]] std::uint64_t average_gap_ns() const noexcept { return gap_ns_; }

 private:
  std::uint64_t gap_ns_ = 0;
};

// The CPU the caller runs on (sched_getcpu: a read of the rseq area, no system call).
[[nodiscard]] std::uint32_t current_cpu() noexcept;
// Tells the CPU that this is a spin loop.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace tenantd
