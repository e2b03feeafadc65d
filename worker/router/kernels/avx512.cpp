// Kernels for CPUs with AVX-512 F, BW and VNNI. vpdpbusd multiplies unsigned by signed bytes: that
// is why codes have an offset of 128 and queries have not; the offset's part is taken off a sum.
#if defined(__x86_64__)
// g++ 12 sees uninitialised values in its own header (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>
#include <array>

#include "worker/router/kernels/kernels.h"

#define TENANTD_AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define TENANTD_AVX512_INLINE \
  __attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline)) inline

namespace tenantd {
namespace {

// Bytes that a row is asked for ahead of its use: the hardware's prefetcher stops at each 4 KiB.
constexpr std::size_t prefetch_bytes = 4096;
constexpr std::size_t tile_rows = 4;

// Not _mm512_reduce_add_ps: its order of additions is the compiler's.
TENANTD_AVX512 float sum_lanes(__m512 v) {
  const __m256 low = _mm512_castps512_ps256(v);
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
  const __m256 eight = _mm256_add_ps(low, high);
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

TENANTD_AVX512 void dot_rows(const float* query, const float* rows, std::size_t row_count,
                             std::size_t stride, float* out) {
  std::size_t r = 0;
  for (; r + 4 <= row_count; r += 4, rows += 4 * stride) {
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
    for (std::size_t j = 0; j < stride; j += 16) {
      const __m512 q = _mm512_load_ps(query + j);
      a = _mm512_add_ps(a, _mm512_mul_ps(q, _mm512_load_ps(rows + j)));
      b = _mm512_add_ps(b, _mm512_mul_ps(q, _mm512_load_ps(rows + stride + j)));
      c = _mm512_add_ps(c, _mm512_mul_ps(q, _mm512_load_ps(rows + 2 * stride + j)));
      d = _mm512_add_ps(d, _mm512_mul_ps(q, _mm512_load_ps(rows + 3 * stride + j)));
    }
    out[r] = sum_lanes(a);
    out[r + 1] = sum_lanes(b);
    out[r + 2] = sum_lanes(c);
    out[r + 3] = sum_lanes(d);
  }
  for (; r < row_count; ++r, rows += stride) {
    __m512 a = _mm512_setzero_ps();
    for (std::size_t j = 0; j < stride; j += 16) {
      a = _mm512_add_ps(a, _mm512_mul_ps(_mm512_load_ps(query + j), _mm512_load_ps(rows + j)));
    }
    out[r] = sum_lanes(a);
  }
}

// The sums of four vectors' lanes.
TENANTD_AVX512_INLINE __m128i sum_each(const __m512i* v) {
  const __m512i ab =
      _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
  const __m512i cd =
      _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
  const __m512i all =
      _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i eight =
      _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
}

// Of four rows from `r` on.
TENANTD_AVX512_INLINE void store_bounds(const ScanQuery& query, const ScanRows& rows, std::size_t r,
                                        const __m512i* high, const __m512i* low, float* bounds) {
  __m128 sum;
  if (rows.stride <= max_whole_stride) {
    __m512i whole[tile_rows];
    for (std::size_t i = 0; i < tile_rows; ++i) {
      whole[i] = _mm512_add_epi32(_mm512_slli_epi32(high[i], 7), low[i]);
    }
    const std::int32_t offset = query.high_offset * 128 + query.low_offset;
    sum = _mm_cvtepi32_ps(_mm_sub_epi32(sum_each(whole), _mm_set1_epi32(offset)));
  } else {
    const __m128i h = _mm_sub_epi32(sum_each(high), _mm_set1_epi32(query.high_offset));
    const __m128i l = _mm_sub_epi32(sum_each(low), _mm_set1_epi32(query.low_offset));
    sum = _mm_add_ps(_mm_mul_ps(_mm_cvtepi32_ps(h), _mm_set1_ps(128.0F)), _mm_cvtepi32_ps(l));
  }
  const __m128 scale = _mm_mul_ps(_mm_loadu_ps(rows.scales + r), _mm_set1_ps(query.scale));
  const __m128 error = _mm_mul_ps(_mm_loadu_ps(rows.errors + r), _mm_set1_ps(query.error_factor));
  const __m128 slack = _mm_add_ps(error, _mm_set1_ps(query.slack));
  _mm_storeu_ps(bounds + r, _mm_add_ps(_mm_mul_ps(scale, sum), slack));
}

// Row offsets of a tile; beyond the last row it is read again, and its result is not used.
TENANTD_AVX512_INLINE std::array<const std::uint8_t*, tile_rows> tile_at(const ScanRows& rows,
                                                                         std::size_t r) {
  std::array<const std::uint8_t*, tile_rows> tile{};
  for (std::size_t i = 0; i < tile_rows; ++i) {
    tile[i] = rows.codes + std::min(r + i, rows.count - 1) * rows.stride;
  }
  return tile;
}

TENANTD_AVX512 void scan(const ScanQuery& query, const ScanRows& rows, float* bounds) {
  for (std::size_t r = 0; r < rows.count; r += tile_rows) {
    __m512i high[tile_rows];
    __m512i low[tile_rows];
    for (std::size_t i = 0; i < tile_rows; ++i) high[i] = low[i] = _mm512_setzero_si512();
    const auto tile = tile_at(rows, r);
    for (std::size_t j = 0; j < rows.stride; j += 64) {
      const __m512i h = _mm512_load_si512(query.high + j);
      const __m512i l = _mm512_load_si512(query.low + j);
      for (std::size_t i = 0; i < tile_rows; ++i) {
        const __m512i codes = _mm512_load_si512(tile[i] + j);
        _mm_prefetch(reinterpret_cast<const char*>(tile[i] + j + prefetch_bytes), _MM_HINT_T0);
        high[i] = _mm512_dpbusd_epi32(high[i], codes, h);
        low[i] = _mm512_dpbusd_epi32(low[i], codes, l);
      }
    }
    store_bounds(query, rows, r, high, low, bounds);
  }
}

TENANTD_AVX512 void scan_pair(const ScanQuery* queries, const ScanRows& rows, std::size_t r,
                              float* const* bounds) {
  __m512i high[2][tile_rows];
  __m512i low[2][tile_rows];
  for (std::size_t i = 0; i < tile_rows; ++i) {
    high[0][i] = low[0][i] = high[1][i] = low[1][i] = _mm512_setzero_si512();
  }
  const auto tile = tile_at(rows, r);
  for (std::size_t j = 0; j < rows.stride; j += 64) {
    const __m512i h0 = _mm512_load_si512(queries[0].high + j);
    const __m512i l0 = _mm512_load_si512(queries[0].low + j);
    const __m512i h1 = _mm512_load_si512(queries[1].high + j);
    const __m512i l1 = _mm512_load_si512(queries[1].low + j);
    for (std::size_t i = 0; i < tile_rows; ++i) {
      const __m512i codes = _mm512_load_si512(tile[i] + j);
      high[0][i] = _mm512_dpbusd_epi32(high[0][i], codes, h0);
      low[0][i] = _mm512_dpbusd_epi32(low[0][i], codes, l0);
      high[1][i] = _mm512_dpbusd_epi32(high[1][i], codes, h1);
      low[1][i] = _mm512_dpbusd_epi32(low[1][i], codes, l1);
    }
  }
  store_bounds(queries[0], rows, r, high[0], low[0], bounds[0]);
  store_bounds(queries[1], rows, r, high[1], low[1], bounds[1]);
}

TENANTD_AVX512 void scan_batch(std::span<const ScanQuery> queries, const ScanRows& rows,
                               float* const* bounds) {
  constexpr std::size_t block = 32;  // rows that stay in the cache while all queries read them
  for (std::size_t first = 0; first < rows.count; first += block) {
    const std::size_t end = std::min(first + block, rows.count);
    std::size_t q = 0;
    for (; q + 2 <= queries.size(); q += 2) {
      for (std::size_t r = first; r < end; r += tile_rows) {
        scan_pair(queries.data() + q, rows, r, bounds + q);
      }
    }
    if (q == queries.size()) continue;
    const ScanRows some{rows.codes + first * rows.stride, rows.scales + first, rows.errors + first,
                        end - first, rows.stride};
    scan(queries[q], some, bounds[q] + first);
  }
}

TENANTD_AVX512 float largest(const float* values, std::size_t count) {
  const __m512 least = _mm512_set1_ps(-3.4e38F);
  __m512 lanes = least;
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t left = count - i;
    const auto mask = static_cast<__mmask16>(left >= 16 ? 0xFFFFU : (1U << left) - 1U);
    lanes = _mm512_max_ps(lanes, _mm512_mask_loadu_ps(least, mask, values + i));
  }
  const __m256 eight =
      _mm256_max_ps(_mm512_castps512_ps256(lanes),
                    _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(lanes), 1)));
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

}  // namespace

const Kernels avx512_kernels{"avx512", dot_rows, scan, scan_batch, largest};

}  // namespace tenantd
#endif
