// Kernels for CPUs with AVX2. Multiplications of bytes go through 16-bit words: the instruction
// that takes bytes (vpmaddubsw) saturates. So the query may as well have 16 bits.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "worker/router/kernels/kernels.h"
#include "worker/router/kernels/split.h"

#define TENANTD_AVX2 __attribute__((target("avx2")))
#define TENANTD_AVX2_INLINE __attribute__((target("avx2"), always_inline)) inline

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

constexpr std::size_t tile_rows = 4;
constexpr std::size_t prefetch_bytes = 4096;  // the hardware's prefetcher stops at each 4 KiB

// The sums of four vectors' lanes.
TENANTD_AVX2_INLINE __m128i sum_each(const __m256i* v) {
  const __m256i ab = _mm256_hadd_epi32(v[0], v[1]);
  const __m256i cd = _mm256_hadd_epi32(v[2], v[3]);
  const __m256i all = _mm256_hadd_epi32(ab, cd);
  return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

// Sixteen columns from `j` on.
template <std::size_t count>
TENANTD_AVX2_INLINE void multiply(const ScanQuery* queries, const std::uint8_t* const* tile,
                                  std::size_t j, __m256i (&sums)[count][tile_rows]) {
  __m256i words[count];
  for (std::size_t q = 0; q < count; ++q) {
    words[q] = _mm256_load_si256(reinterpret_cast<const __m256i*>(queries[q].codes + j));
  }
  for (std::size_t i = 0; i < tile_rows; ++i) {
    const auto* const at = reinterpret_cast<const __m128i*>(tile[i] + j);
    const __m256i codes = _mm256_cvtepu8_epi16(_mm_load_si128(at));
    for (std::size_t q = 0; q < count; ++q) {
      sums[q][i] = _mm256_add_epi32(sums[q][i], _mm256_madd_epi16(codes, words[q]));
    }
  }
}

// Of four rows from `r` on, for `count` queries.
template <std::size_t count>
TENANTD_AVX2_INLINE void scan_tile(const ScanQuery* queries, const ScanRows& rows, std::size_t r,
                                   float* const* bounds) {
  // Beyond the last row it is read again, and its result is not used.
  const std::uint8_t* tile[tile_rows];
  for (std::size_t i = 0; i < tile_rows; ++i) {
    tile[i] = rows.codes + std::min(r + i, rows.count - 1) * rows.stride;
  }
  __m128 totals[count] = {};
  for (std::size_t first = 0, block = 0; first < rows.stride; first += scan_block, ++block) {
    const std::size_t end = std::min(first + scan_block, rows.stride);
    __m256i sums[count][tile_rows];
    for (auto& some : sums) {
      for (auto& sum : some) sum = _mm256_setzero_si256();
    }
    for (std::size_t j = first; j < end; j += 64) {
      if (count == 1) {
        for (std::size_t i = 0; i < tile_rows; ++i) {
          _mm_prefetch(reinterpret_cast<const char*>(tile[i] + j + prefetch_bytes), _MM_HINT_T0);
        }
      }
#pragma GCC unroll 1
      for (std::size_t k = 0; k < 64; k += 32) {
        multiply<count>(queries, tile, j + k, sums);
        multiply<count>(queries, tile, j + k + 16, sums);
      }
    }
    for (std::size_t q = 0; q < count; ++q) {
      const __m128i part =
          _mm_sub_epi32(sum_each(sums[q]), _mm_set1_epi32(queries[q].offsets[block]));
      totals[q] = _mm_add_ps(totals[q], _mm_cvtepi32_ps(part));
    }
  }
  const __m128 scales = _mm_loadu_ps(rows.scales + r);
  const __m128 errors = _mm_loadu_ps(rows.errors + r);
  for (std::size_t q = 0; q < count; ++q) {
    const __m128 scale = _mm_mul_ps(scales, _mm_set1_ps(queries[q].scale));
    const __m128 error = _mm_mul_ps(errors, _mm_set1_ps(queries[q].error_factor));
    const __m128 slack = _mm_add_ps(error, _mm_set1_ps(queries[q].slack));
    _mm_storeu_ps(bounds[q] + r, _mm_add_ps(_mm_mul_ps(scale, totals[q]), slack));
  }
}

TENANTD_AVX2 void scan(const ScanQuery& query, const ScanRows& rows, float* bounds) {
  for (std::size_t r = 0; r < rows.count; r += tile_rows) {
    scan_tile<1>(&query, rows, r, &bounds);
  }
}

TENANTD_AVX2 void scan_batch(std::span<const ScanQuery> queries, const ScanRows& rows,
                             float* const* bounds) {
  constexpr std::size_t block = 32;  // rows that stay in the cache while all queries read them
  for (std::size_t first = 0; first < rows.count; first += block) {
    const std::size_t end = std::min(first + block, rows.count);
    std::size_t q = 0;
    for (; q + 2 <= queries.size(); q += 2) {
      for (std::size_t r = first; r < end; r += tile_rows) {
        scan_tile<2>(queries.data() + q, rows, r, bounds + q);
      }
    }
    if (q == queries.size()) continue;
    for (std::size_t r = first; r < end; r += tile_rows) {
      scan_tile<1>(queries.data() + q, rows, r, bounds + q);
    }
  }
}

TENANTD_AVX2_INLINE float largest_lane(__m256 lanes) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

// The last eight are read together: some of them for the second time.
TENANTD_AVX2_INLINE float largest_of(const float* values, std::size_t count) {
  if (count >= 8) {
    __m256 lanes = _mm256_loadu_ps(values + count - 8);
    for (std::size_t i = 0; i + 8 < count; i += 8) {
      lanes = _mm256_max_ps(lanes, _mm256_loadu_ps(values + i));
    }
    return largest_lane(lanes);
  }
  float best = values[0];
  for (std::size_t i = 1; i < count; ++i) best = std::max(best, values[i]);
  return best;
}

TENANTD_AVX2 float largest(const float* values, std::size_t count) {
  return largest_of(values, count);
}

TENANTD_AVX2 void largest_of_each(const float* values, const std::uint32_t* starts,
                                  std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = starts[i + 1] - starts[i];
    out[i] = size > 0 ? largest_of(values + starts[i], size) : 0.0F;
  }
}

TENANTD_AVX2 SplitSums split(const float* values, std::size_t count, float steps,
                             const SplitCodes& out) {
  return split_values(values, count, steps, out);
}

TENANTD_AVX2 float largest_magnitude(const float* values, std::size_t count) {
  return largest_magnitude_of(values, count);
}

}  // namespace

const Kernels avx2_kernels{.name = "avx2",
                           .dot_rows = dot_rows,
                           .scan = scan,
                           .scan_batch = scan_batch,
                           .largest = largest,
                           .largest_of_each = largest_of_each,
                           .split = split,
                           .largest_magnitude = largest_magnitude,
                           .multiplies_bytes = false};

}  // namespace tenantd
#endif
