// A set of CPUs of this host, written as the kernel writes them: "0-3,8".
//
// Runs in: everything. Holds only values; bounded to max_cpus, which is what sched_setaffinity(2)'s
// fixed cpu_set_t holds too.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

class CpuSet {
 public:
  static constexpr std::uint32_t max_cpus = 1024;

  // Numbers and ranges, separated by commas; blanks at the ends and an empty text (no CPU) are
  // fine. Errors: invalid_argument that names the part.
  [[nodiscard]] static Result<CpuSet> parse(std::string_view text);
  [[nodiscard]] static CpuSet of(const std::vector<std::uint32_t>& cpus);

  void add(std::uint32_t cpu) {
    if (cpu < max_cpus) bits_.set(cpu);
  }
  [[nodiscard]] bool has(std::uint32_t cpu) const { return cpu < max_cpus && bits_.test(cpu); }
  [[nodiscard]] bool empty() const { return bits_.none(); }
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(bits_.count()); }
  [[nodiscard]] bool contains(const CpuSet& other) const { return (other.bits_ & ~bits_).none(); }
  [[nodiscard]] bool meets(const CpuSet& other) const { return (other.bits_ & bits_).any(); }
  [[nodiscard]] CpuSet with(const CpuSet& other) const { return CpuSet(bits_ | other.bits_); }
  [[nodiscard]] CpuSet without(const CpuSet& other) const { return CpuSet(bits_ & ~other.bits_); }
  [[nodiscard]] CpuSet common(const CpuSet& other) const { return CpuSet(bits_ & other.bits_); }
  // The lowest `count` of them, or all.
  [[nodiscard]] CpuSet first(std::uint32_t count) const;
  [[nodiscard]] std::vector<std::uint32_t> list() const;  // ascending
  [[nodiscard]] std::string str() const;                  // "0-3,8"; empty: no CPU

  CpuSet() = default;
  friend bool operator==(const CpuSet&, const CpuSet&) = default;

 private:
  using Bits = std::bitset<max_cpus>;
  explicit CpuSet(const Bits& bits) : bits_(bits) {}
  Bits bits_;
};

}  // namespace tenantd
