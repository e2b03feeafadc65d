// A row-major matrix of floats whose rows begin on cache lines.
//
// Runs in: worker. Rows are padded with zeros to a multiple of 16 floats, so that a kernel needs no
// tail. A large one has pages of its own, which a file can stand in for: the kernel may then drop
// them and read them again. One that is borrowed lies in a file from the beginning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace tenantd {

inline constexpr std::size_t floats_per_line = 16;

// Floats from one row to the next.
[[nodiscard]] constexpr std::size_t padded_row(std::size_t dimension) noexcept {
  return (dimension + floats_per_line - 1) / floats_per_line * floats_per_line;
}

struct FreeMatrix {
  std::size_t mapped_bytes = 0;  // 0: from the heap, or somebody else's
  bool is_borrowed = false;      // somebody else's
  void operator()(float* values) const noexcept;
};

class Matrix {
 public:
  Matrix() = default;
  // All zero. Throws std::bad_alloc, like every container.
  Matrix(std::size_t rows, std::size_t dimension);
  // A view of rows · padded_row(dimension) floats on a cache line that `keeper` keeps alive,
  // padding included. Nothing may be written to it.
  [[nodiscard]] static Matrix borrow(const float* values, std::size_t rows, std::size_t dimension,
                                     std::shared_ptr<const void> keeper) noexcept;

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
  [[nodiscard]] const float* data() const noexcept { return values_.get(); }
  // Without the padding.
  [[nodiscard]] std::span<float> row(std::size_t i) noexcept {
    return {values_.get() + i * stride_, dimension_};
  }
  [[nodiscard]] std::span<const float> row(std::size_t i) const noexcept {
    return {values_.get() + i * stride_, dimension_};
  }

  [[nodiscard]] bool is_borrowed() const noexcept { return keeper_ != nullptr; }

  // Bytes on pages that are the matrix's own and no file's; 0: there are none.
  [[nodiscard]] std::size_t movable_bytes() const noexcept {
    return is_in_file_ ? 0 : values_.get_deleter().mapped_bytes;
  }
  // movable_bytes() of the file from `offset`, a multiple of the page size, on hold the same as the
  // matrix and take the place of its pages, at the same address: who reads meanwhile sees no
  // difference. They must not change while the matrix lives. One thread at a time. False: the
  // kernel refuses, and nothing has changed.
  [[nodiscard]] bool move_to_file(int fd, std::uint64_t offset) const noexcept;

 private:
  std::unique_ptr<float[], FreeMatrix> values_;
  std::shared_ptr<const void> keeper_;  // of borrowed values
  std::size_t rows_ = 0;
  std::size_t dimension_ = 0;
  std::size_t stride_ = 0;
  mutable bool is_in_file_ = false;
};

}  // namespace tenantd
