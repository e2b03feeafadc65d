// What the kernel enforces on one tenant's workers: the [resources] part of a tenant's file.
//
// Written by the supervisor's config reader, used by the supervisor's cgroup code and shown by
// control. Fixed size, no pointers; 0 means "no limit of ours" in every field.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

namespace tenantd {

// Bounds of one block device (major:minor), bytes and operations per second.
struct IoLimit {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::uint64_t read_bps = 0;
  std::uint64_t write_bps = 0;
  std::uint64_t read_iops = 0;
  std::uint64_t write_iops = 0;
  friend bool operator==(const IoLimit&, const IoLimit&) = default;
};

struct ResourceLimits {
  static constexpr std::size_t max_io = 8;
  // CFS period that the quota below is spread over (cpu.max, cpu.cfs_period_us).
  static constexpr std::uint32_t cpu_period_us = 100'000;

  std::uint64_t memory_high_bytes = 0;  // ≤ memory_max_bytes; cgroup v2 only
  std::uint64_t memory_max_bytes = 0;
  std::uint32_t cpu_millicores = 0;  // 1000: one whole CPU
  std::uint32_t cpu_weight = 0;      // 1..10000, 100 is the kernel's default
  std::uint32_t pids_max = 0;
  std::uint16_t io_weight = 0;  // 1..10000
  std::uint16_t io_count = 0;   // ≤ max_io; the used part of `io`
  std::array<IoLimit, max_io> io{};

  // Microseconds of CPU time per cpu_period_us; 0: no quota.
  [[nodiscard]] constexpr std::uint64_t cpu_quota_us() const noexcept {
    return std::uint64_t{cpu_millicores} * cpu_period_us / 1000;
  }
  friend bool operator==(const ResourceLimits&, const ResourceLimits&) = default;
};

static_assert(std::is_trivially_copyable_v<ResourceLimits>);
static_assert(sizeof(IoLimit) == 40 && sizeof(ResourceLimits) == 32 + 8 * 40);

}  // namespace tenantd
