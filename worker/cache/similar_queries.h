// The newest queries by their vectors, with what was answered: for a query that resembles one.
//
// Runs in: worker, loop thread. One tenant's, and of one state of its router: who owns it empties
// it when that changes. A ring: the oldest goes first. Every row is multiplied for a look-up, so
// there are few of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/router/matrix.h"

namespace tenantd {

class SimilarQueries {
 public:
  static constexpr std::size_t max_rows = 256;
  // What is longer is not kept: few answers are.
  static constexpr std::size_t max_options_bytes = 256;
  static constexpr std::size_t max_answer_bytes = 1024;

  struct Found {
    std::string_view answer;  // until the next call
    float similarity = 0;     // cosine
  };

  // As many rows as fit `max_bytes`, at most max_rows; 0: none. Forgets all.
  void set_bound(std::uint64_t max_bytes);
  // `vector` is normalised, padded and aligned as a Matrix row of `dimension` floats. The nearest
  // of those with the same options, if its cosine is at least `least`.
  [[nodiscard]] std::optional<Found> find(const float* vector, std::size_t dimension,
                                          std::string_view options, float least);
  // Allocates once a dimension, and while texts grow. Throws std::bad_alloc.
  void add(const float* vector, std::size_t dimension, std::string_view options,
           std::string_view answer);
  // Keeps its memory.
  void clear() noexcept { count_ = next_ = 0; }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept;

 private:
  struct Slot {
    std::string options;
    std::string answer;
  };
  std::uint64_t max_bytes_ = 0;
  Matrix rows_;
  std::vector<Slot> slots_;     // one a row
  std::vector<float> cosines_;  // likewise
  std::size_t count_ = 0;
  std::size_t next_ = 0;
};

}  // namespace tenantd
