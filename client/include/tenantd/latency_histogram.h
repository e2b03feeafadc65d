// How long calls took: counts in buckets of one eighth of a power of two, from nanoseconds to
// minutes.
//
// Runs in: the user's program, filled by the client library. Fixed size, no allocation, no lock:
// recording is an increment. A quantile is exact to 12.5 %.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tenantd {

class LatencyHistogram {
 public:
  void record(std::uint64_t ns) noexcept {
    ++counts_[bucket_of(ns)];
    ++count_;
    max_ns_ = std::max(max_ns_, ns);
  }
  void merge(const LatencyHistogram& other) noexcept {
    for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_ns_; }
  // The time within which `quantile` (0 to 1) of the calls ended: the upper end of its bucket, at
  // most max_ns(). 0 without calls.
  [[nodiscard]] std::uint64_t quantile_ns(double quantile) const noexcept {
    const double wanted = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return std::min(upper_ns(i), max_ns_);
    }
    return max_ns_;
  }

 private:
  static constexpr unsigned sub_bits = 3;
  static constexpr std::size_t sub_count = 1U << sub_bits;
  static constexpr unsigned most_bits = 40;  // 18 minutes; longer ones count in the last bucket
  static constexpr std::size_t bucket_count = (most_bits - sub_bits + 1) * sub_count;

  static std::size_t bucket_of(std::uint64_t ns) noexcept {
    if (ns < sub_count) return static_cast<std::size_t>(ns);
    const auto octave = static_cast<unsigned>(std::bit_width(ns)) - 1 - sub_bits;
    const auto sub = static_cast<std::size_t>(ns >> octave) & (sub_count - 1);
    return std::min((octave + 1) * sub_count + sub, bucket_count - 1);
  }
  static std::uint64_t upper_ns(std::size_t bucket) noexcept {
    if (bucket < sub_count) return bucket;
    const std::size_t octave = bucket / sub_count - 1;
    const std::uint64_t first = sub_count + bucket % sub_count;
    return ((first + 1) << octave) - 1;
  }

  std::array<std::uint64_t, bucket_count> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

}  // namespace tenantd
