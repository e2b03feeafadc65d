// How long requests took under load: counts in buckets of 1/128 of a power of two, so that every
// percentile is exact to 0.8 % from nanoseconds to minutes (the idea of HdrHistogram).
//
// Runs in: tenantctl, one a connection; merged at the end. Fixed size, recording is an increment.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenantd {

class LoadHistogram {
 public:
  void record(std::uint64_t ns) {
    ++counts_[bucket_of(ns)];
    ++count_;
    sum_ns_ += static_cast<double>(ns);
    min_ns_ = std::min(min_ns_, ns);
    max_ns_ = std::max(max_ns_, ns);
  }
  void merge(const LoadHistogram& other) {
    for (std::size_t i = 0; i < bucket_count; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ns_ += other.sum_ns_;
    min_ns_ = std::min(min_ns_, other.min_ns_);
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  // All 0 when nothing was recorded.
  [[nodiscard]] std::uint64_t min_ns() const noexcept { return count_ == 0 ? 0 : min_ns_; }
  [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_ns_; }
  [[nodiscard]] double mean_ns() const noexcept {
    return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
  }
  // The time within which `percent` (0 to 100) of the requests ended: the upper end of its bucket,
  // within what was recorded.
  [[nodiscard]] std::uint64_t percentile_ns(double percent) const noexcept {
    const double wanted = std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += counts_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) {
        return std::clamp(upper_ns(i), min_ns_, max_ns_);
      }
    }
    return max_ns_;
  }

 private:
  static constexpr unsigned sub_bits = 7;
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

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(bucket_count);
  std::uint64_t count_ = 0;
  double sum_ns_ = 0;
  std::uint64_t min_ns_ = ~std::uint64_t{0};
  std::uint64_t max_ns_ = 0;
};

}  // namespace tenantd
