#include "worker/router/kernels/quantise.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "worker/router/kernels/split.h"

namespace tenantd {
namespace {

constexpr float row_steps = 127.0F;
// normalise() rounds each of its floats: lengths are 1 to within this.
constexpr double length_slack = 1e-6;

template <class T>
T* allocate_line(std::size_t bytes) {
  void* memory = std::aligned_alloc(code_line, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

float largest_magnitude(std::span<const float> values) noexcept {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

std::int32_t round_to_integer(float value) noexcept {
  return static_cast<std::int32_t>(value + (value < 0 ? -0.5F : 0.5F));
}

float round_up(double value) noexcept {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

// What dot_rows() of vectors of length 1 may differ from the exact product: stride/16 + 4
// roundings of relative 2^-24 each (Higham 2002, "Accuracy and Stability of Numerical Algorithms",
// section 3.1), and some for products of products.
double dot_rounding(std::size_t dimension) noexcept {
  return (static_cast<double>(dimension) / 16.0 + 8.0) * 0x1p-24 * 1.01;
}

// Roundings of a kernel's own floats: about ten, of values below 1.5, and two more a block.
double bound_rounding(std::size_t blocks) noexcept {
  return 2e-6 + 2e-7 * static_cast<double>(blocks);
}

}  // namespace

QuantisedRows::QuantisedRows(std::size_t count, std::size_t dimension)
    : count_(count), stride_(padded_codes(dimension)) {
  if (count == 0) return;
  own_codes_.reset(allocate_line<std::uint8_t>(count * stride_));
  codes_ = own_codes_.get();
  std::memset(own_codes_.get(), 128, count * stride_);
  make_bounds();
}

void QuantisedRows::make_bounds() {
  const std::size_t room = count_ + 16;  // a kernel's tile may begin at any row
  scales_ = std::make_unique<float[]>(room);
  errors_ = std::make_unique<float[]>(room);
}

QuantisedRows QuantisedRows::borrow(const StoredRows& stored, std::size_t dimension,
                                    std::shared_ptr<const void> keeper) {
  QuantisedRows rows;
  rows.count_ = stored.scales.size();
  rows.stride_ = padded_codes(dimension);
  if (rows.count_ == 0) return rows;
  rows.codes_ = stored.codes;
  rows.keeper_ = std::move(keeper);
  rows.make_bounds();
  std::ranges::copy(stored.scales, rows.scales_.get());
  std::ranges::copy(stored.errors, rows.errors_.get());
  return rows;
}

void QuantisedRows::set(std::size_t index, std::span<const float> row) noexcept {
  const float scale = largest_magnitude(row) / row_steps;
  const float steps = scale > 0 ? 1.0F / scale : 0.0F;
  std::uint8_t* codes = own_codes_.get() + index * stride_;
  double squares = 0;
  constexpr std::size_t lanes = 8;
  double lane[lanes] = {};
  for (std::size_t first = 0; first < row.size(); first += lanes) {
    const std::size_t some = std::min(lanes, row.size() - first);
    for (std::size_t i = 0; i < some; ++i) {
      const std::int32_t code = std::clamp(round_to_integer(row[first + i] * steps), -127, 127);
      codes[first + i] = static_cast<std::uint8_t>(code + 128);
      const double error = static_cast<double>(row[first + i]) -
                           static_cast<double>(scale) * static_cast<double>(code);
      lane[i] += error * error;
    }
  }
  for (const double sum : lane) squares += sum;
  scales_[index] = scale;
  errors_[index] = round_up(std::sqrt(squares) * (1 + 1e-9));
}

void QuantisedRows::copy(std::size_t index, const QuantisedRows& from, std::size_t from_index,
                         std::size_t count) noexcept {
  if (count == 0) return;
  std::memcpy(own_codes_.get() + index * stride_, from.codes_ + from_index * stride_,
              count * stride_);
  std::copy_n(from.scales_.get() + from_index, count, scales_.get() + index);
  std::copy_n(from.errors_.get() + from_index, count, errors_.get() + index);
}

std::size_t QuantisedRows::memory_bytes() const noexcept {
  return count_ * (stride_ + 2 * sizeof(float));
}

// Each array begins on 64 bytes, as a stride is a multiple of them.
QuantisedQuery::Codes QuantisedQuery::reserve(std::size_t stride, std::size_t size,
                                              std::size_t blocks) {
  const std::size_t offset_bytes = (2 * blocks * sizeof(std::int32_t) + 63) / 64 * 64;
  const std::size_t bytes = 6 * stride + offset_bytes;
  if (bytes > capacity_) {
    bytes_.reset(allocate_line<std::int8_t>(bytes));
    capacity_ = bytes;
  }
  std::int8_t* const at = bytes_.get();
  if (size < stride) std::memset(at, 0, bytes);  // the padding
  auto* const offsets = reinterpret_cast<std::int32_t*>(at + 6 * stride);
  return {reinterpret_cast<std::int16_t*>(at),
          reinterpret_cast<std::int16_t*>(at + 2 * stride),
          at + 4 * stride,
          at + 5 * stride,
          offsets,
          offsets + blocks};
}

// The higher byte alone is off by the lower one, and by what both are off.
void QuantisedQuery::set(std::span<const float> query) {
  const std::size_t stride = padded_codes(query.size());
  const Kernels& kernels = best_kernels();
  const float scale =
      kernels.largest_magnitude(query.data(), query.size()) / static_cast<float>(query_steps);
  const float steps = scale > 0 ? 1.0F / scale : 0.0F;
  std::int64_t rest_squares = 0;
  const std::size_t blocks = (stride + scan_block - 1) / scan_block;
  const Codes codes = reserve(stride, query.size(), blocks);
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t first = block * scan_block;
    const std::size_t size = std::min(scan_block, query.size() - std::min(first, query.size()));
    const SplitSums sums = kernels.split(
        query.data() + first, size, steps,
        {codes.fine + first, codes.coarse + first, codes.high + first, codes.low + first});
    codes.fine_offsets[block] = 128 * sums.fine;
    codes.coarse_offsets[block] = 128 * sums.coarse;
    rest_squares += sums.rest_squares;
  }
  // Each float is off by half a step at most, and by what its multiplication rounded.
  const double error =
      0.51 * static_cast<double>(scale) * std::sqrt(static_cast<double>(query.size()));
  const double coarse_error =
      error + 1.001 * static_cast<double>(scale) * std::sqrt(static_cast<double>(rest_squares));
  const double rounding = dot_rounding(query.size()) + bound_rounding(blocks);
  const double length = 1 + length_slack;
  fine_ = {codes.fine,
           codes.high,
           codes.low,
           codes.fine_offsets,
           scale,
           round_up(length + error),
           round_up(length * error + rounding)};
  coarse_ = {codes.coarse,
             codes.high,
             nullptr,
             codes.coarse_offsets,
             128.0F * scale,
             round_up(length + coarse_error),
             round_up(length * coarse_error + rounding)};
}

}  // namespace tenantd
