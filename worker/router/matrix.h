// A row-major matrix of floats whose rows begin on cache lines.
//
// Runs in: worker. Rows are padded with zeros to a multiple of 16 floats, so that a kernel needs no
// tail.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace tenantd {

inline constexpr std::size_t floats_per_line = 16;

// Floats from one row to the next.
[[nodiscard]] constexpr std::size_t padded_row(std::size_t dimension) noexcept {
  return (dimension + floats_per_line - 1) / floats_per_line * floats_per_line;
}

class Matrix {
 public:
  Matrix() = default;
  // All zero. Throws std::bad_alloc, like every container.
  Matrix(std::size_t rows, std::size_t dimension)
      : rows_(rows), dimension_(dimension), stride_(padded_row(dimension)) {
    if (rows * stride_ == 0) return;
    void* memory = std::aligned_alloc(64, rows * stride_ * sizeof(float));
    if (memory == nullptr) throw std::bad_alloc();
    values_.reset(static_cast<float*>(memory));
    std::uninitialized_fill_n(values_.get(), rows * stride_, 0.0F);
  }

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

 private:
  struct Free {
    void operator()(float* values) const noexcept { std::free(values); }
  };
  std::unique_ptr<float[], Free> values_;
  std::size_t rows_ = 0;
  std::size_t dimension_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace tenantd
