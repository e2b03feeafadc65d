#include "worker/cache/similar_queries.h"

#include <algorithm>
#include <cstring>

#include "worker/router/kernels/kernels.h"

namespace tenantd {

void SimilarQueries::set_bound(std::uint64_t max_bytes) {
  if (max_bytes == max_bytes_) return;
  max_bytes_ = max_bytes;
  rows_ = Matrix();
  std::vector<Slot>().swap(slots_);  // an assignment would keep the memory
  std::vector<float>().swap(cosines_);
  clear();
}

std::optional<SimilarQueries::Found> SimilarQueries::find(const float* vector,
                                                          std::size_t dimension,
                                                          std::string_view options, float least) {
  if (count_ == 0 || rows_.dimension() != dimension) return std::nullopt;
  best_kernels().dot_rows(vector, rows_.data(), count_, rows_.stride(), cosines_.data());
  std::optional<Found> best;
  for (std::size_t i = 0; i < count_; ++i) {
    if (cosines_[i] < least || (best && cosines_[i] <= best->similarity)) continue;
    if (slots_[i].options == options) best = Found{slots_[i].answer, cosines_[i]};
  }
  return best;
}

void SimilarQueries::add(const float* vector, std::size_t dimension, std::string_view options,
                         std::string_view answer) {
  if (options.size() > max_options_bytes || answer.size() > max_answer_bytes) return;
  if (rows_.dimension() != dimension) {
    constexpr std::size_t beside = sizeof(Slot) + max_options_bytes + max_answer_bytes;
    const std::size_t row_bytes = padded_row(dimension) * sizeof(float) + beside + sizeof(float);
    const std::size_t rows = std::min<std::size_t>(max_rows, max_bytes_ / row_bytes);
    clear();
    if (rows == 0) return;
    slots_ = std::vector<Slot>(rows);
    cosines_ = std::vector<float>(rows);
    rows_ = Matrix(rows, dimension);
  }
  const std::size_t at = next_;
  slots_[at].options = options;
  slots_[at].answer = answer;
  std::memcpy(rows_.row(at).data(), vector, dimension * sizeof(float));
  next_ = (at + 1) % rows_.rows();
  count_ = std::max(count_, at + 1);
}

std::uint64_t SimilarQueries::bytes() const noexcept {
  std::uint64_t bytes = rows_.rows() * rows_.stride() * sizeof(float) +
                        cosines_.capacity() * sizeof(float) + slots_.capacity() * sizeof(Slot);
  for (const Slot& slot : slots_) bytes += slot.options.capacity() + slot.answer.capacity();
  return bytes;
}

}  // namespace tenantd
