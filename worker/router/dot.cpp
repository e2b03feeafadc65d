#include "worker/router/dot.h"

#include <array>
#include <cmath>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tenantd {
namespace {

void dot_rows_plain(const float* query, const float* rows, std::size_t row_count,
                    std::size_t stride, float* out) {
  constexpr std::size_t lanes = 16;  // independent sums that a compiler may put into vectors
  for (std::size_t r = 0; r < row_count; ++r, rows += stride) {
    std::array<float, lanes> sums{};
    for (std::size_t j = 0; j < stride; j += lanes) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        sums[lane] += query[j + lane] * rows[j + lane];
      }
    }
    float total = 0;
    for (const float sum : sums) total += sum;
    out[r] = total;
  }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) float sum_lanes(__m256 v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}

// Four rows share each load of the query; two sums a row hide the latency of the multiply-add.
__attribute__((target("avx2,fma"))) void dot_rows_avx2(const float* query, const float* rows,
                                                       std::size_t row_count, std::size_t stride,
                                                       float* out) {
  std::size_t r = 0;
  for (; r + 4 <= row_count; r += 4, rows += 4 * stride) {
    __m256 a0 = _mm256_setzero_ps(), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
    const float* b = rows + stride;
    const float* c = b + stride;
    const float* d = c + stride;
    for (std::size_t j = 0; j < stride; j += 16) {
      const __m256 q0 = _mm256_load_ps(query + j);
      const __m256 q1 = _mm256_load_ps(query + j + 8);
      a0 = _mm256_fmadd_ps(q0, _mm256_load_ps(rows + j), a0);
      a1 = _mm256_fmadd_ps(q1, _mm256_load_ps(rows + j + 8), a1);
      b0 = _mm256_fmadd_ps(q0, _mm256_load_ps(b + j), b0);
      b1 = _mm256_fmadd_ps(q1, _mm256_load_ps(b + j + 8), b1);
      c0 = _mm256_fmadd_ps(q0, _mm256_load_ps(c + j), c0);
      c1 = _mm256_fmadd_ps(q1, _mm256_load_ps(c + j + 8), c1);
      d0 = _mm256_fmadd_ps(q0, _mm256_load_ps(d + j), d0);
      d1 = _mm256_fmadd_ps(q1, _mm256_load_ps(d + j + 8), d1);
    }
    out[r] = sum_lanes(_mm256_add_ps(a0, a1));
    out[r + 1] = sum_lanes(_mm256_add_ps(b0, b1));
    out[r + 2] = sum_lanes(_mm256_add_ps(c0, c1));
    out[r + 3] = sum_lanes(_mm256_add_ps(d0, d1));
  }
  for (; r < row_count; ++r, rows += stride) {
    __m256 a0 = _mm256_setzero_ps(), a1 = a0;
    for (std::size_t j = 0; j < stride; j += 16) {
      a0 = _mm256_fmadd_ps(_mm256_load_ps(query + j), _mm256_load_ps(rows + j), a0);
      a1 = _mm256_fmadd_ps(_mm256_load_ps(query + j + 8), _mm256_load_ps(rows + j + 8), a1);
    }
    out[r] = sum_lanes(_mm256_add_ps(a0, a1));
  }
}

// Not _mm512_reduce_add_ps: g++ 12 warns of an uninitialised value inside it.
__attribute__((target("avx512f"))) float sum_lanes512(__m512 v) {
  alignas(64) std::array<float, 16> lanes;
  _mm512_store_ps(lanes.data(), v);
  for (std::size_t width = 8; width > 0; width /= 2) {
    for (std::size_t i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

__attribute__((target("avx512f"))) void dot_rows_avx512(const float* query, const float* rows,
                                                        std::size_t row_count, std::size_t stride,
                                                        float* out) {
  std::size_t r = 0;
  for (; r + 4 <= row_count; r += 4, rows += 4 * stride) {
    __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
    for (std::size_t j = 0; j < stride; j += 16) {
      const __m512 q = _mm512_load_ps(query + j);
      a = _mm512_fmadd_ps(q, _mm512_load_ps(rows + j), a);
      b = _mm512_fmadd_ps(q, _mm512_load_ps(rows + stride + j), b);
      c = _mm512_fmadd_ps(q, _mm512_load_ps(rows + 2 * stride + j), c);
      d = _mm512_fmadd_ps(q, _mm512_load_ps(rows + 3 * stride + j), d);
    }
    out[r] = sum_lanes512(a);
    out[r + 1] = sum_lanes512(b);
    out[r + 2] = sum_lanes512(c);
    out[r + 3] = sum_lanes512(d);
  }
  for (; r < row_count; ++r, rows += stride) {
    __m512 a = _mm512_setzero_ps();
    for (std::size_t j = 0; j < stride; j += 16) {
      a = _mm512_fmadd_ps(_mm512_load_ps(query + j), _mm512_load_ps(rows + j), a);
    }
    out[r] = sum_lanes512(a);
  }
}

#endif

struct Kernels {
  std::array<DotRows, 3> list{};
  std::size_t count = 0;
};

Kernels find_kernels() noexcept {
  Kernels kernels;
  kernels.list[kernels.count++] = dot_rows_plain;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.list[kernels.count++] = dot_rows_avx2;
  }
  if (__builtin_cpu_supports("avx512f")) kernels.list[kernels.count++] = dot_rows_avx512;
#endif
  return kernels;
}

}  // namespace

std::span<const DotRows> runnable_dot_rows() noexcept {
  static const Kernels kernels = find_kernels();
  return {kernels.list.data(), kernels.count};
}

DotRows select_dot_rows() noexcept { return runnable_dot_rows().back(); }

bool normalise(std::span<const float> vector, std::span<float> out) noexcept {
  double squares = 0;
  for (const float value : vector) {
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  if (!(squares > 0) || !std::isfinite(squares)) return false;
  const double scale = 1.0 / std::sqrt(squares);
  for (std::size_t i = 0; i < vector.size(); ++i) {
    out[i] = static_cast<float>(static_cast<double>(vector[i]) * scale);
  }
  return true;
}

}  // namespace tenantd
