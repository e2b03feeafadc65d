// The least that a search of bytes costs: reading them and multiplying them with a query's.
//
// Runs in: router_bench. Rows have floor_dimension bytes and begin on 64; the sums mean nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenantd::bench {

inline constexpr std::size_t floor_dimension = 384;

[[nodiscard]] bool has_floor();
[[nodiscard]] bool has_vnni_floor();  // else with AVX2
void read_and_multiply(const std::uint8_t* rows, std::size_t count, const std::int8_t* query,
                       std::int32_t* out);
// The same with AVX2, which has no instruction for bytes that does not saturate.
void read_and_multiply_avx2(const std::uint8_t* rows, std::size_t count, const std::int16_t* query,
                            std::int32_t* out);

}  // namespace tenantd::bench
