#include "worker/router/matrix.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <utility>

namespace tenantd {
namespace {

constexpr std::size_t page_bytes = 4096;
// From this size on the heap would take pages of their own, too.
constexpr std::size_t large_bytes = std::size_t{64} << 10U;

}  // namespace

Matrix::Matrix(std::size_t rows, std::size_t dimension)
    : rows_(rows), dimension_(dimension), stride_(padded_row(dimension)) {
  const std::size_t bytes = rows * stride_ * sizeof(float);
  if (bytes == 0) return;
  if (bytes >= large_bytes) {
    const std::size_t whole = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    void* const pages =
        ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    values_ =
        std::unique_ptr<float[], FreeMatrix>(static_cast<float*>(pages), FreeMatrix{whole, false});
    return;
  }
  void* const memory = std::aligned_alloc(64, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  values_.reset(static_cast<float*>(memory));
  std::uninitialized_fill_n(values_.get(), rows * stride_, 0.0F);
}

Matrix Matrix::borrow(const float* values, std::size_t rows, std::size_t dimension,
                      std::shared_ptr<const void> keeper) noexcept {
  Matrix matrix;
  matrix.values_ = std::unique_ptr<float[], FreeMatrix>(const_cast<float*>(values),  // NOLINT
                                                        FreeMatrix{0, true});
  matrix.keeper_ = std::move(keeper);
  matrix.rows_ = rows;
  matrix.dimension_ = dimension;
  matrix.stride_ = padded_row(dimension);
  return matrix;
}

void FreeMatrix::operator()(float* values) const noexcept {
  if (is_borrowed) return;
  if (mapped_bytes > 0) {
    (void)::munmap(values, mapped_bytes);
  } else {
    std::free(values);
  }
}

bool Matrix::move_to_file(int fd, std::uint64_t offset) const noexcept {
  const std::size_t bytes = movable_bytes();
  if (bytes == 0) return false;
  void* const moved = ::mmap(values_.get(), bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
                             static_cast<off_t>(offset));
  is_in_file_ = moved != MAP_FAILED;
  return is_in_file_;
}

}  // namespace tenantd
