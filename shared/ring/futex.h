// Futex words shared between processes.
//
// Runs in: worker (wake), client library (wait). Source: futex(2). Waiting works on a read-only
// mapping.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>

namespace tenantd {

// Sleeps while *word == seen, until woken, a signal or until_ns (CLOCK_MONOTONIC).
inline void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                       std::uint64_t until_ns) noexcept {
  timespec until{};
  until.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
  until.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
  (void)::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, seen, &until, nullptr,
                  FUTEX_BITSET_MATCH_ANY);
}

inline void futex_wake_one(std::atomic<std::uint32_t>& word) noexcept {
  (void)::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace tenantd
