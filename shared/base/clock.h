// Clocks behind a function pointer's width, so that simulations can drive time.
#pragma once

#include <cstdint>
#include <string>

namespace tenantd {

// CLOCK_MONOTONIC, comparable between processes of one boot. Deadlines on the wire use it.
[[nodiscard]] std::uint64_t monotonic_ns() noexcept;
inline constexpr std::uint64_t ns_per_ms = 1'000'000;
[[nodiscard]] inline std::uint64_t monotonic_ms() noexcept { return monotonic_ns() / ns_per_ms; }
// CLOCK_REALTIME since the epoch, for people and ledgers only.
[[nodiscard]] std::int64_t wall_clock_ms() noexcept;
[[nodiscard]] std::int64_t wall_clock_us() noexcept;
// "2026-01-31T12:00:00.123Z"
[[nodiscard]] std::string format_utc(std::int64_t wall_ms);

}  // namespace tenantd
