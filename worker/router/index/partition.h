// A partition of vectors into lists, each around a centroid: the coarse half of an inverted file
// (Jégou, Douze and Schmid 2011, "Product Quantization for Nearest Neighbor Search", section IV).
//
// Runs in: worker; trained by the editor thread in slices, read by both threads once it is done.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "worker/router/kernels/kernels.h"
#include "worker/router/route_set.h"

namespace tenantd {

// Lists are numbered in 16 bits.
inline constexpr std::size_t max_index_lists = 8192;

// How many lists suit so many vectors.
[[nodiscard]] std::size_t suitable_lists(std::size_t vectors) noexcept;

// lists[i]: the row of `centroids` whose product with rows[i], padded and aligned as a Matrix row,
// is the largest, products[i]; of equal ones the first.
void assign_to_nearest(const Kernels& kernels, const Matrix& centroids,
                       std::span<const float* const> rows, std::span<std::uint16_t> lists,
                       std::span<float> products);

// Spherical k-means (Dhillon and Modha 2001) on a sample that is evenly spread over the set's rows.
// The same set gives the same centroids.
class PartitionTrainer {
 public:
  // `set` has at least `lists` rows and is kept until the end.
  PartitionTrainer(std::shared_ptr<const RouteSet> set, std::size_t lists, const Kernels& kernels);

  // Some milliseconds of work; true: there is more.
  [[nodiscard]] bool step();
  // In [0,1].
  [[nodiscard]] double progress() const noexcept;
  // Normalised, one row a list. After step() has returned false.
  [[nodiscard]] Matrix take_centroids() noexcept { return std::move(centroids_); }

 private:
  void find_sample(std::size_t count);
  void end_round();

  std::shared_ptr<const RouteSet> set_;
  const Kernels* kernels_;
  std::vector<const float*> sample_;
  std::vector<std::uint16_t> nearest_;
  std::vector<float> products_;
  std::vector<float> sums_;  // lists × dimension
  std::vector<std::uint32_t> counts_;
  Matrix centroids_;
  std::size_t next_ = 0;   // of the sample, in this round
  std::size_t round_ = 0;  // rounds that are done
};

}  // namespace tenantd
