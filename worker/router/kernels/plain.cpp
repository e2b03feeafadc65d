// Kernels for any CPU, and the definition that the others are held to.
#include <algorithm>
#include <array>

#include "worker/router/kernels/kernels.h"

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
    std::int32_t high = 0;
    std::int32_t low = 0;
    for (std::size_t j = 0; j < rows.stride; ++j) {
      const int code = row[j] - 128;
      high += code * query.high[j];
      low += code * query.low[j];
    }
    const float sum = rows.stride <= max_whole_stride
                          ? static_cast<float>(high * 128 + low)
                          : static_cast<float>(high) * 128.0F + static_cast<float>(low);
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

}  // namespace

const Kernels plain_kernels{"plain", dot_rows, scan, scan_batch, largest};

}  // namespace tenantd
