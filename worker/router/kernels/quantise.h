// Vectors as bytes, and how far a product of such vectors can be from the exact one.
//
// Runs in: worker; rows are made by the editor thread, queries by the loop thread. A row x is held
// as x' = s·c with one float s and integers |c| ≤ 127, a query q as q' = t·d with |d| ≤ 16,319 in
// two bytes, or |d| ≤ 127 in one. Then |<x,q> - <x',q'>| = |<x-x',q> + <x',q-q'>| ≤ |x-x'|·|q| +
// |x'|·|q-q'| (Cauchy and Schwarz), and |x'| ≤ |x| + |x-x'|. The row keeps |x-x'|, rounded up; what
// rounding in fp32 may add on both sides is in the query's slack. So a bound is never below the
// fp32 product: nothing that a first pass over bytes leaves out could have been found.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "worker/router/kernels/kernels.h"

namespace tenantd {

inline constexpr std::size_t code_line = 64;

// Bytes from one row of codes to the next.
[[nodiscard]] constexpr std::size_t padded_codes(std::size_t dimension) noexcept {
  return (dimension + code_line - 1) / code_line * code_line;
}

struct AlignedFree {
  void operator()(void* memory) const noexcept { std::free(memory); }
};

// Rows that are bytes already: `count` of each, as a ScanRows has them.
struct StoredRows {
  const std::uint8_t* codes = nullptr;  // on a cache line; stay where they are
  std::span<const float> scales;        // copied
  std::span<const float> errors;        // copied
};

// Vectors of Euclidean length 1 as bytes. Throws std::bad_alloc, like every container.
class QuantisedRows {
 public:
  QuantisedRows() = default;
  QuantisedRows(std::size_t count, std::size_t dimension);
  // Codes that `keeper` keeps alive; set() and copy() to it are not allowed.
  [[nodiscard]] static QuantisedRows borrow(const StoredRows& stored, std::size_t dimension,
                                            std::shared_ptr<const void> keeper);

  // `row` is normalised (normalise()) and has `dimension` floats.
  void set(std::size_t index, std::span<const float> row) noexcept;
  // Row `index` becomes row `from_index` of `from`, which has the same dimension.
  void copy(std::size_t index, const QuantisedRows& from, std::size_t from_index,
            std::size_t count) noexcept;
  [[nodiscard]] ScanRows view() const noexcept {
    return {codes_, scales_.get(), errors_.get(), count_, stride_};
  }
  // Rows [first, end) of them; a scan may read scales and errors of up to 15 more.
  [[nodiscard]] ScanRows view(std::size_t first, std::size_t end) const noexcept {
    return {codes_ + first * stride_, scales_.get() + first, errors_.get() + first, end - first,
            stride_};
  }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  void make_bounds();

  std::unique_ptr<std::uint8_t[], AlignedFree> own_codes_;
  std::shared_ptr<const void> keeper_;   // of codes that are not its own
  const std::uint8_t* codes_ = nullptr;  // whosoever they are
  std::unique_ptr<float[]> scales_;
  std::unique_ptr<float[]> errors_;
  std::size_t count_ = 0;
  std::size_t stride_ = 0;
};

// One query's codes; their memory is kept between queries.
class QuantisedQuery {
 public:
  // `query` is normalised. Allocates only for a dimension larger than any before.
  void set(std::span<const float> query);
  // Two bytes a float. Valid until the next set().
  [[nodiscard]] const ScanQuery& view() const noexcept { return fine_; }
  // One byte a float, the higher of the two.
  [[nodiscard]] const ScanQuery& coarse() const noexcept { return coarse_; }

 private:
  struct Codes {
    std::int16_t* fine;
    std::int16_t* coarse;
    std::int8_t* high;
    std::int8_t* low;
    std::int32_t* fine_offsets;
    std::int32_t* coarse_offsets;
  };
  [[nodiscard]] Codes reserve(std::size_t stride, std::size_t size, std::size_t blocks);

  std::unique_ptr<std::int8_t[], AlignedFree> bytes_;
  std::size_t capacity_ = 0;
  ScanQuery fine_;
  ScanQuery coarse_;
};

}  // namespace tenantd
