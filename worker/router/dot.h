// Inner products of one query with many rows: where a dense query spends its time.
//
// Runs in: worker. Trusts its caller for sizes.
#pragma once

#include <cstddef>
#include <span>

namespace tenantd {

// out[i] = Σ query[j] · rows[i · stride + j], j < stride, i < row_count. `query` and `rows` begin
// on 64 bytes and `stride` is a multiple of 16 floats (Matrix). Sums in fp32 over at least eight
// partial sums; the last bits depend on the CPU.
using DotRows = void (*)(const float* query, const float* rows, std::size_t row_count,
                         std::size_t stride, float* out);

// The widest kernel this CPU runs: AVX-512F, AVX2 with FMA, or what the compiler makes of plain
// code. A function pointer and no ifunc, whose resolvers run too early for sanitizers.
[[nodiscard]] DotRows select_dot_rows() noexcept;
// All kernels that this CPU runs, plain first, so that a test compares each.
[[nodiscard]] std::span<const DotRows> runnable_dot_rows() noexcept;

// Scales to Euclidean length 1 with a double sum. False, `out` untouched, when the length is zero
// or not finite. Same size; may be the same memory.
[[nodiscard]] bool normalise(std::span<const float> vector, std::span<float> out) noexcept;

}  // namespace tenantd
