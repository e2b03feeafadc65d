// The loops in which a dense query spends its time, one set of them for each kind of CPU.
//
// Runs in: worker; loop thread and editor thread. Trusts its caller for sizes. Every set gives the
// same bits: integers are exact, and floats are added, multiplied and never fused in one order.
// Chosen by cpuid alone, as a confined worker reads no file; a table of function pointers and no
// ifunc, whose resolvers run too early for sanitizers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tenantd {

// Columns whose Σ (code + 128) · query code is one 32-bit integer. Longer rows have several such
// sums, which become floats and are added in order.
inline constexpr std::size_t scan_block = 512;
static_assert(scan_block * 255 * 127 * 128 < 0x7FFFFFFF);

// A query for a scan: query ≈ scale · codes, see quantise.h.
struct ScanQuery {
  const std::int16_t* codes = nullptr;  // stride of them, on 64 bytes, like the next two
  // The same for kernels that multiply bytes: codes = 128 · high + low; low null: codes = high.
  const std::int8_t* high = nullptr;
  const std::int8_t* low = nullptr;
  const std::int32_t* offsets = nullptr;  // one a block: 128 · Σ codes, what the rows' offset adds
  float scale = 0;
  float error_factor = 0;  // bound += error_factor · row error + slack
  float slack = 0;
};

// Rows as bytes: row ≈ scales[i] · (code - 128).
struct ScanRows {
  const std::uint8_t* codes = nullptr;  // count × stride, on 64 bytes; padding is 128
  const float* scales = nullptr;        // these two have room for count rounded up to 16
  const float* errors = nullptr;
  std::size_t count = 0;
  std::size_t stride = 0;  // a multiple of 64
};

// out[i] = Σ query[j] · rows[i · stride + j], j < stride, i < row_count. `query` and `rows` begin
// on 64 bytes and `stride` is a multiple of 16 floats (Matrix). Sixteen partial sums in fp32, term
// j into sum j mod 16; then sum i takes sum i+8, i+4, i+2 and i+1 in turn.
using DotRowsKernel = void (*)(const float* query, const float* rows, std::size_t row_count,
                               std::size_t stride, float* out);
// bounds[i]: no dot_rows() of the query with row i is larger. Room for `count` rounded up to 16.
using ScanKernel = void (*)(const ScanQuery& query, const ScanRows& rows, float* bounds);
// The same for several queries; each row is read once. bounds[q] belongs to queries[q].
using ScanBatchKernel = void (*)(std::span<const ScanQuery> queries, const ScanRows& rows,
                                 float* const* bounds);
// The largest of `count` > 0 values, none of them NaN.
using LargestKernel = float (*)(const float* values, std::size_t count);
// out[i]: the largest of values[starts[i]] to values[starts[i + 1] - 1]; 0 if there are none.
using LargestOfEachKernel = void (*)(const float* values, const std::uint32_t* starts,
                                     std::size_t count, float* out);

// Where a query's codes go; one each of as many as there are floats.
struct SplitCodes {
  std::int16_t* __restrict__ fine = nullptr;
  std::int16_t* __restrict__ coarse = nullptr;  // fine / 128, rounded
  std::int8_t* __restrict__ high = nullptr;     // coarse again
  std::int8_t* __restrict__ low = nullptr;      // fine - 128 · coarse
};
struct SplitSums {
  std::int32_t fine = 0;
  std::int32_t coarse = 0;
  std::int32_t rest_squares = 0;  // Σ low²
};
// Codes of up to scan_block floats: value · steps, rounded, within ±16,256. Values are finite.
using SplitKernel = SplitSums (*)(const float* values, std::size_t count, float steps,
                                  const SplitCodes& out);
// Without their sign, by the order of their bits: NaN if there is one, or else infinity; 0 for
// none.
using MagnitudeKernel = float (*)(const float* values, std::size_t count);

struct Kernels {
  const char* name;
  DotRowsKernel dot_rows;
  ScanKernel scan;
  ScanBatchKernel scan_batch;
  LargestKernel largest;
  LargestOfEachKernel largest_of_each;
  SplitKernel split;
  MagnitudeKernel largest_magnitude;
  // A query of one byte a float costs half of one of two, whose bounds are closer: look first with
  // the one, then again with the other.
  bool multiplies_bytes;
};

extern const Kernels plain_kernels;
#if defined(__x86_64__)
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;  // F, BW and VNNI
#endif

// All that this CPU runs, plain first and fastest last, so that a test compares each.
[[nodiscard]] std::span<const Kernels* const> runnable_kernels() noexcept;
[[nodiscard]] const Kernels& best_kernels() noexcept;

}  // namespace tenantd
