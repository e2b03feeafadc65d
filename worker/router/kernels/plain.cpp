// Kernels for any CPU, and the definition that the others are held to.
#include <algorithm>
#include <array>

#include "worker/router/kernels/kernels.h"
#include "worker/router/kernels/split.h"

namespace tenantd {
namespace {

void dot_rows(const float* query, const float* rows, std::size_t row_count, std::size_t stride,
              float* out) {
  constexpr std::size_t lanes = 16;
  for (std::size_t r = 0; r < row_count; ++r, rows += stride) {
    std::array<float, lanes> sums{};
    for (std::size_t j = 0; j < stride; j += lanes) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        sums[lane] += query[j + lane] * rows[j + lane];
      }
    }
    for (std::size_t width = lanes / 2; width > 0; width /= 2) {
      for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
    }
    out[r] = sums[0];
  }
}

void scan(const ScanQuery& query, const ScanRows& rows, float* bounds) {
  for (std::size_t r = 0; r < rows.count; ++r) {
    const std::uint8_t* row = rows.codes + r * rows.stride;
    float sum = 0;
    for (std::size_t first = 0; first < rows.stride; first += scan_block) {
      const std::size_t end = std::min(first + scan_block, rows.stride);
      std::int32_t part = 0;
      for (std::size_t j = first; j < end; ++j) part += (row[j] - 128) * query.codes[j];
      sum += static_cast<float>(part);
    }
    bounds[r] =
        rows.scales[r] * query.scale * sum + (rows.errors[r] * query.error_factor + query.slack);
  }
}

void scan_batch(std::span<const ScanQuery> queries, const ScanRows& rows, float* const* bounds) {
  constexpr std::size_t block = 32;  // rows that stay in the cache while all queries read them
  for (std::size_t first = 0; first < rows.count; first += block) {
    const ScanRows some{rows.codes + first * rows.stride, rows.scales + first, rows.errors + first,
                        std::min(block, rows.count - first), rows.stride};
    for (std::size_t q = 0; q < queries.size(); ++q) scan(queries[q], some, bounds[q] + first);
  }
}

float largest(const float* values, std::size_t count) {
  return *std::max_element(values, values + count);
}

void largest_of_each(const float* values, const std::uint32_t* starts, std::size_t count,
                     float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = starts[i + 1] - starts[i];
    out[i] = size > 0 ? largest(values + starts[i], size) : 0.0F;
  }
}

SplitSums split(const float* values, std::size_t count, float steps, const SplitCodes& out) {
  return split_values(values, count, steps, out);
}

float largest_magnitude(const float* values, std::size_t count) {
  return largest_magnitude_of(values, count);
}

}  // namespace

const Kernels plain_kernels{.name = "plain",
                            .dot_rows = dot_rows,
                            .scan = scan,
                            .scan_batch = scan_batch,
                            .largest = largest,
                            .largest_of_each = largest_of_each,
                            .split = split,
                            .largest_magnitude = largest_magnitude,
                            .multiplies_bytes = false};

}  // namespace tenantd
