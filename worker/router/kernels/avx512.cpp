// Kernels for CPUs with AVX-512 F, BW and VNNI. vpdpbusd multiplies unsigned by signed bytes: that
// is why codes have an offset of 128 and queries have not; the offset's part is taken off a sum.
#if defined(__x86_64__)
#if !defined(TENANTD_EMULATE_AVX512)
// g++ 12 sees uninitialised values in its own header (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>

#include "worker/router/kernels/kernels.h"
#include "worker/router/kernels/split.h"

#if defined(TENANTD_EMULATE_AVX512)  // a test includes this file after intrinsics of its own
#define TENANTD_AVX512
#define TENANTD_AVX512_INLINE inline
#else
#define TENANTD_AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define TENANTD_AVX512_INLINE \
  __attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline)) inline
#endif

namespace tenantd {
namespace {

// Bytes that a row is asked for ahead of its use: the hardware's prefetcher stops at each 4 KiB.
constexpr std::size_t prefetch_bytes = 4096;

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

// Row offsets of a tile; beyond the last row it is read again, and its result is not used.
template <std::size_t tile_rows>
TENANTD_AVX512_INLINE std::array<const std::uint8_t*, tile_rows> tile_at(const ScanRows& rows,
                                                                         std::size_t r) {
  std::array<const std::uint8_t*, tile_rows> tile{};
  for (std::size_t i = 0; i < tile_rows; ++i) {
    tile[i] = rows.codes + std::min(r + i, rows.count - 1) * rows.stride;
  }
  return tile;
}

// Of the columns [first, end): Σ code · query code a row, without the offset.
template <std::size_t count, std::size_t tile_rows, bool with_low>
TENANTD_AVX512_INLINE void multiply(const ScanQuery* queries,
                                    const std::array<const std::uint8_t*, tile_rows>& tile,
                                    std::size_t first, std::size_t end,
                                    __m512i (&sums)[count][tile_rows]) {
  __m512i low[count][tile_rows];
  for (std::size_t q = 0; q < count; ++q) {
    for (std::size_t i = 0; i < tile_rows; ++i) sums[q][i] = low[q][i] = _mm512_setzero_si512();
  }
  for (std::size_t j = first; j < end; j += 64) {
    for (std::size_t i = 0; i < tile_rows; ++i) {
      const __m512i codes = _mm512_load_si512(tile[i] + j);
      if (count == 1) {
        _mm_prefetch(reinterpret_cast<const char*>(tile[i] + j + prefetch_bytes), _MM_HINT_T0);
      }
      for (std::size_t q = 0; q < count; ++q) {
        sums[q][i] = _mm512_dpbusd_epi32(sums[q][i], codes, _mm512_load_si512(queries[q].high + j));
        if (with_low) {
          low[q][i] = _mm512_dpbusd_epi32(low[q][i], codes, _mm512_load_si512(queries[q].low + j));
        }
      }
    }
  }
  if (!with_low) return;
  for (std::size_t q = 0; q < count; ++q) {
    for (std::size_t i = 0; i < tile_rows; ++i) {
      sums[q][i] = _mm512_add_epi32(_mm512_slli_epi32(sums[q][i], 7), low[q][i]);
    }
  }
}

// Rows from `r` on, four at a time: their sums become bounds.
TENANTD_AVX512_INLINE void store_bounds(const ScanQuery& query, const ScanRows& rows, std::size_t r,
                                        __m128 sum, float* bounds) {
  const __m128 scale = _mm_mul_ps(_mm_loadu_ps(rows.scales + r), _mm_set1_ps(query.scale));
  const __m128 error = _mm_mul_ps(_mm_loadu_ps(rows.errors + r), _mm_set1_ps(query.error_factor));
  const __m128 slack = _mm_add_ps(error, _mm_set1_ps(query.slack));
  _mm_storeu_ps(bounds + r, _mm_add_ps(_mm_mul_ps(scale, sum), slack));
}

template <std::size_t count, std::size_t tile_rows, bool with_low>
TENANTD_AVX512_INLINE void scan_tile(const ScanQuery* queries, const ScanRows& rows, std::size_t r,
                                     float* const* bounds) {
  constexpr std::size_t fours = tile_rows / 4;
  const auto tile = tile_at<tile_rows>(rows, r);
  __m128 totals[count][fours] = {};
  for (std::size_t first = 0, block = 0; first < rows.stride; first += scan_block, ++block) {
    __m512i sums[count][tile_rows];
    multiply<count, tile_rows, with_low>(queries, tile, first,
                                         std::min(first + scan_block, rows.stride), sums);
    for (std::size_t q = 0; q < count; ++q) {
      const __m128i offset = _mm_set1_epi32(queries[q].offsets[block]);
      for (std::size_t four = 0; four < fours; ++four) {
        const __m128 part = _mm_cvtepi32_ps(_mm_sub_epi32(sum_each(sums[q] + 4 * four), offset));
        totals[q][four] = _mm_add_ps(totals[q][four], part);
      }
    }
  }
  for (std::size_t q = 0; q < count; ++q) {
    for (std::size_t four = 0; four < fours; ++four) {
      store_bounds(queries[q], rows, r + 4 * four, totals[q][four], bounds[q]);
    }
  }
}

// As many sums as hide the latency of a multiplication, and no more than there are registers.
TENANTD_AVX512 void scan(const ScanQuery& query, const ScanRows& rows, float* bounds) {
  if (query.low == nullptr) {
    for (std::size_t r = 0; r < rows.count; r += 8)
      scan_tile<1, 8, false>(&query, rows, r, &bounds);
  } else {
    for (std::size_t r = 0; r < rows.count; r += 4) scan_tile<1, 4, true>(&query, rows, r, &bounds);
  }
}

template <std::size_t count, bool with_low>
TENANTD_AVX512_INLINE std::size_t scan_some(std::span<const ScanQuery> queries, std::size_t q,
                                            const ScanRows& rows, std::size_t first,
                                            std::size_t end, float* const* bounds) {
  for (; q + count <= queries.size(); q += count) {
    for (std::size_t r = first; r < end; r += 4) {
      scan_tile<count, 4, with_low>(queries.data() + q, rows, r, bounds + q);
    }
  }
  return q;
}

// All queries are of one kind.
TENANTD_AVX512 void scan_batch(std::span<const ScanQuery> queries, const ScanRows& rows,
                               float* const* bounds) {
  constexpr std::size_t block = 32;  // rows that stay in the cache while all queries read them
  const bool with_low = !queries.empty() && queries[0].low != nullptr;
  for (std::size_t first = 0; first < rows.count; first += block) {
    const std::size_t end = std::min(first + block, rows.count);
    if (with_low) {
      const std::size_t q = scan_some<2, true>(queries, 0, rows, first, end, bounds);
      (void)scan_some<1, true>(queries, q, rows, first, end, bounds);
    } else {
      const std::size_t q = scan_some<4, false>(queries, 0, rows, first, end, bounds);
      (void)scan_some<1, false>(queries, q, rows, first, end, bounds);
    }
  }
}

TENANTD_AVX512_INLINE float largest_of(const float* values, std::size_t count) {
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

TENANTD_AVX512 float largest(const float* values, std::size_t count) {
  return largest_of(values, count);
}

TENANTD_AVX512 void largest_of_each(const float* values, const std::uint32_t* starts,
                                    std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = starts[i + 1] - starts[i];
    out[i] = size > 0 ? largest_of(values + starts[i], size) : 0.0F;
  }
}

TENANTD_AVX512 SplitSums split(const float* values, std::size_t count, float steps,
                               const SplitCodes& out) {
  return split_values(values, count, steps, out);
}

TENANTD_AVX512 float largest_magnitude(const float* values, std::size_t count) {
  return largest_magnitude_of(values, count);
}

}  // namespace

const Kernels avx512_kernels{.name = "avx512",
                             .dot_rows = dot_rows,
                             .scan = scan,
                             .scan_batch = scan_batch,
                             .largest = largest,
                             .largest_of_each = largest_of_each,
                             .split = split,
                             .largest_magnitude = largest_magnitude,
                             .multiplies_bytes = true};

}  // namespace tenantd
#endif
