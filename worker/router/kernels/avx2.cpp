// Kernels for CPUs with AVX2. Multiplications of bytes go through 16-bit words: the instruction
// that takes bytes (vpmaddubsw) saturates.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "worker/router/kernels/kernels.h"

#define TENANTD_AVX2 __attribute__((target("avx2")))

namespace tenantd {
namespace {

TENANTD_AVX2 float sum_lanes(__m256 v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

TENANTD_AVX2 void dot_rows(const float* query, const float* rows, std::size_t row_count,
                           std::size_t stride, float* out) {
  for (std::size_t r = 0; r < row_count; ++r, rows += stride) {
    __m256 a = _mm256_setzero_ps();
    __m256 b = a;
    for (std::size_t j = 0; j < stride; j += 16) {
      a = _mm256_add_ps(a, _mm256_mul_ps(_mm256_load_ps(query + j), _mm256_load_ps(rows + j)));
      b = _mm256_add_ps(b,
                        _mm256_mul_ps(_mm256_load_ps(query + j + 8), _mm256_load_ps(rows + j + 8)));
    }
    out[r] = sum_lanes(_mm256_add_ps(a, b));
  }
}

TENANTD_AVX2 __m256i load_signed(const std::int8_t* bytes) {
  return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
}

TENANTD_AVX2 __m256i load_codes(const std::uint8_t* bytes) {
  const __m128i codes = _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
  return _mm256_sub_epi16(_mm256_cvtepu8_epi16(codes), _mm256_set1_epi16(128));
}

TENANTD_AVX2 std::int32_t sum_integers(__m256i v) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
  return _mm_cvtsi128_si32(half);
}

TENANTD_AVX2 void scan(const ScanQuery& query, const ScanRows& rows, float* bounds) {
  for (std::size_t r = 0; r < rows.count; ++r) {
    const std::uint8_t* row = rows.codes + r * rows.stride;
    __m256i high = _mm256_setzero_si256();
    __m256i low = high;
    for (std::size_t j = 0; j < rows.stride; j += 16) {
      const __m256i codes = load_codes(row + j);
      high = _mm256_add_epi32(high, _mm256_madd_epi16(codes, load_signed(query.high + j)));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(codes, load_signed(query.low + j)));
    }
    const float sum =
        static_cast<float>(sum_integers(high)) * 128.0F + static_cast<float>(sum_integers(low));
    bounds[r] =
        rows.scales[r] * query.scale * sum + (rows.errors[r] * query.error_factor + query.slack);
  }
}

TENANTD_AVX2 void scan_batch(std::span<const ScanQuery> queries, const ScanRows& rows,
                             float* const* bounds) {
  constexpr std::size_t block = 32;  // rows that stay in the cache while all queries read them
  for (std::size_t first = 0; first < rows.count; first += block) {
    const ScanRows some{rows.codes + first * rows.stride, rows.scales + first, rows.errors + first,
                        std::min(block, rows.count - first), rows.stride};
    for (std::size_t q = 0; q < queries.size(); ++q) scan(queries[q], some, bounds[q] + first);
  }
}

TENANTD_AVX2 float largest(const float* values, std::size_t count) {
  float best = values[0];
  std::size_t i = 0;
  if (count >= 8) {
    __m256 lanes = _mm256_loadu_ps(values);
    for (i = 8; i + 8 <= count; i += 8) lanes = _mm256_max_ps(lanes, _mm256_loadu_ps(values + i));
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    best = _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }
  for (; i < count; ++i) best = std::max(best, values[i]);
  return best;
}

}  // namespace

const Kernels avx2_kernels{"avx2", dot_rows, scan, scan_batch, largest};

}  // namespace tenantd
#endif
