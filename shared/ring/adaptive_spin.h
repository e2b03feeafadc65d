// Whether to look at the ring for a while before sleeping.
//
// Runs in: worker, client library. A wake-up costs 11-13 µs each way on an idle CPU, so waiting
// awake pays when the peer answers soon from another CPU: by spinning. On the same CPU that would
// only keep the peer from running; there this side gives the CPU away and stays ready to run. The
// peer's CPU is its own claim: a lie costs this side at most the budget, and long gaps end
// spinning, vain yields yielding.
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

// Gives the CPU to whoever else is ready to run on it (sched_yield(2)).
void yield_cpu() noexcept;

// Beside a peer on the same CPU that runs as soon as this side does not: whoever yields is neither
// taken off the run queues nor put back and woken, which is most of what a round trip costs there,
// and all the more where a side's queue is that of a nested control group.
class AdaptiveYield {
 public:
  static constexpr int tries = 2;            // a scheduler may give the CPU back at once
  static constexpr unsigned borne_vain = 2;  // the scheduler's mood says nothing about the peer
  static constexpr unsigned most_vain = 12;  // then one wait of 1,024 tries

  // Whether to try it in this wait. Same answer until record() or skip().
  [[nodiscard]] bool should_yield(std::uint32_t own_cpu, std::uint32_t peer_cpu) const noexcept {
    return own_cpu == peer_cpu && skip_ == 0;
  }
  // Yields until there is something to do, at most `tries` times; whether there was.
  template <class Readable>
  [[nodiscard]] bool until(Readable readable) noexcept {
    bool found = false;
    for (int i = 0; i < tries && !found; ++i) {
      yield_cpu();
      found = readable();
    }
    record(found);
    return found;
  }
  // A wait that did not yield.
  void skip() noexcept { skip_ -= skip_ > 0 ? 1 : 0; }
  // Whether there was something to do after at most `tries` yields.
  void record(bool found) noexcept {
    vain_ = found ? 0 : vain_ < most_vain ? vain_ + 1 : most_vain;
    skip_ = vain_ <= borne_vain ? 0 : 1U << (vain_ - borne_vain);
  }

 private:
  unsigned vain_ = 0;  // in a row
  unsigned skip_ = 0;  // so many waits do without
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
