#include "tests/bench/router_floor.h"

#if defined(__x86_64__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // g++ 12, in its own header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace tenantd::bench {

#if defined(__x86_64__)
constexpr std::size_t floor_tile = 8;

__attribute__((target("avx512f,avx512vnni"))) void read_and_multiply(const std::uint8_t* rows,
                                                                     std::size_t count,
                                                                     const std::int8_t* query,
                                                                     std::int32_t* out) {
  for (std::size_t r = 0; r + floor_tile <= count; r += floor_tile) {
    __m512i sums[floor_tile];
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    const std::uint8_t* row = rows + r * floor_dimension;
    for (std::size_t j = 0; j < floor_dimension; j += 64) {
      const __m512i q = _mm512_load_si512(query + j);
      for (std::size_t i = 0; i < floor_tile; ++i) {
        const std::uint8_t* at = row + i * floor_dimension + j;
        _mm_prefetch(reinterpret_cast<const char*>(at + 8192), _MM_HINT_T0);
        sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_load_si512(at), q);
      }
    }
    for (std::size_t i = 0; i < floor_tile; ++i) out[r + i] = _mm512_reduce_add_epi32(sums[i]);
  }
}

__attribute__((target("avx2"))) void read_and_multiply_avx2(const std::uint8_t* rows,
                                                            std::size_t count,
                                                            const std::int16_t* query,
                                                            std::int32_t* out) {
  constexpr std::size_t tile = 4;
  for (std::size_t r = 0; r + tile <= count; r += tile) {
    __m256i sums[tile];
    for (auto& sum : sums) sum = _mm256_setzero_si256();
    const std::uint8_t* row = rows + r * floor_dimension;
    for (std::size_t j = 0; j < floor_dimension; j += 16) {
      const __m256i q = _mm256_load_si256(reinterpret_cast<const __m256i*>(query + j));
      for (std::size_t i = 0; i < tile; ++i) {
        const auto* const at = reinterpret_cast<const __m128i*>(row + i * floor_dimension + j);
        const __m256i codes = _mm256_cvtepu8_epi16(_mm_load_si128(at));
        sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(codes, q));
      }
    }
    for (std::size_t i = 0; i < tile; ++i) {
      __m128i half =
          _mm_add_epi32(_mm256_castsi256_si128(sums[i]), _mm256_extracti128_si256(sums[i], 1));
      half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
      out[r + i] = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1)));
    }
  }
}

bool has_vnni_floor() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
}
bool has_floor() { return has_vnni_floor() || __builtin_cpu_supports("avx2"); }
#else
void read_and_multiply_avx2(const std::uint8_t*, std::size_t, const std::int16_t*, std::int32_t*) {}
bool has_vnni_floor() { return false; }
void read_and_multiply(const std::uint8_t*, std::size_t, const std::int8_t*, std::int32_t*) {}
bool has_floor() { return false; }
#endif

}  // namespace tenantd::bench
