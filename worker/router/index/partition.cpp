#include "worker/router/index/partition.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/router/dot.h"

namespace tenantd {
namespace {

constexpr std::size_t training_rounds = 6;
constexpr std::size_t sample_per_list = 32;
// Inner products of one step.
constexpr std::size_t products_per_step = 1U << 18U;
// Rows and centroids that stay in the second-level cache while each meets each.
constexpr std::size_t row_block = 64;
constexpr std::size_t centroid_block = 64;

}  // namespace

std::size_t suitable_lists(std::size_t vectors) noexcept {
  const auto wanted = static_cast<std::size_t>(2.0 * std::sqrt(static_cast<double>(vectors)));
  return std::clamp<std::size_t>(wanted, 1, max_index_lists);
}

void assign_to_nearest(const Kernels& kernels, const Matrix& centroids,
                       std::span<const float* const> rows, std::span<std::uint16_t> lists,
                       std::span<float> products) {
  float some_products[centroid_block + 16];
  std::ranges::fill(products, -std::numeric_limits<float>::infinity());
  while (!rows.empty()) {
    const std::size_t some = std::min(row_block, rows.size());
    for (std::size_t first = 0; first < centroids.rows(); first += centroid_block) {
      const std::size_t count = std::min(centroid_block, centroids.rows() - first);
      const float* block = centroids.data() + first * centroids.stride();
      for (std::size_t i = 0; i < some; ++i) {
        kernels.dot_rows(rows[i], block, count, centroids.stride(), some_products);
        for (std::size_t c = 0; c < count; ++c) {
          if (some_products[c] <= products[i]) continue;
          products[i] = some_products[c];
          lists[i] = static_cast<std::uint16_t>(first + c);
        }
      }
    }
    rows = rows.subspan(some);
    lists = lists.subspan(some);
    products = products.subspan(some);
  }
}

PartitionTrainer::PartitionTrainer(std::shared_ptr<const RouteSet> set, std::size_t lists,
                                   const Kernels& kernels)
    : set_(std::move(set)), kernels_(&kernels), centroids_(lists, set_->dimension) {
  find_sample(std::min(set_->vector_count, lists * sample_per_list));
  nearest_.resize(sample_.size());
  products_.resize(sample_.size());
  sums_.resize(lists * set_->dimension);
  counts_.resize(lists);
  for (std::size_t i = 0; i < lists; ++i) {
    const float* row = sample_[i * sample_.size() / lists];
    std::copy_n(row, set_->dimension, centroids_.row(i).begin());
  }
}

// Every so many rows one, so that routes are in the sample as they are in the set.
void PartitionTrainer::find_sample(std::size_t count) {
  sample_.reserve(count);
  std::size_t row = 0;
  for (const auto& route : set_->routes) {
    for (const auto& chunk : route->chunks) {
      const std::size_t end = row + chunk->vectors.rows();
      while (sample_.size() < count) {
        const std::size_t wanted = sample_.size() * set_->vector_count / count;
        if (wanted >= end) break;
        sample_.push_back(chunk->vectors.row(wanted - row).data());
      }
      row = end;
    }
  }
}

bool PartitionTrainer::step() {
  if (round_ == training_rounds) return false;
  const std::size_t lists = centroids_.rows();
  const std::size_t rows =
      std::min(std::max(products_per_step / lists, row_block), sample_.size() - next_);
  const auto some = std::span(sample_).subspan(next_, rows);
  const auto nearest = std::span(nearest_).subspan(next_, rows);
  assign_to_nearest(*kernels_, centroids_, some, nearest,
                    std::span(products_).subspan(next_, rows));
  const std::size_t dimension = set_->dimension;
  for (std::size_t i = 0; i < rows; ++i) {
    float* sum = sums_.data() + nearest[i] * dimension;
    for (std::size_t j = 0; j < dimension; ++j) sum[j] += some[i][j];
    ++counts_[nearest[i]];
  }
  next_ += rows;
  if (next_ == sample_.size()) end_round();
  return round_ < training_rounds;
}

// A list that nobody is nearest to starts again at a row of the sample.
void PartitionTrainer::end_round() {
  const std::size_t dimension = set_->dimension;
  for (std::size_t list = 0; list < counts_.size(); ++list) {
    const auto sum = std::span(sums_).subspan(list * dimension, dimension);
    if (counts_[list] == 0 || !normalise(sum, centroids_.row(list))) {
      const std::size_t other = (list * 7919 + round_ * 104'729) % sample_.size();
      std::copy_n(sample_[other], dimension, centroids_.row(list).begin());
    }
  }
  std::ranges::fill(sums_, 0.0F);
  std::ranges::fill(counts_, 0U);
  next_ = 0;
  ++round_;
}

double PartitionTrainer::progress() const noexcept {
  const double done = static_cast<double>(round_) +
                      static_cast<double>(next_) / static_cast<double>(sample_.size());
  return done / static_cast<double>(training_rounds);
}

}  // namespace tenantd
