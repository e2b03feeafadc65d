// Keeps the floats of a route set in a file, so that what must stay in memory are the bytes that a
// search reads: floats are only read for the few rows that may be the best.
//
// Runs in: worker, editor thread. The file is scratch: emptied at the start, written before its
// pages take the place of the heap's, no use to another process. What is freed is written again.
// Dropped pages are read from the disk when a query needs them, which then waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/os/fd.h"
#include "worker/router/route_set.h"

namespace tenantd {

class VectorVault {
 public:
  // Bytes of one step().
  static constexpr std::size_t step_bytes = std::size_t{8} << 20U;

  // Errors: the system's. Without the file everything stays in memory.
  [[nodiscard]] static Result<VectorVault> open(const std::string& path);

  // Moves up to `most_bytes` of the set's floats. True: there is more. After a failure (a full
  // disk, the bound on a file's size) there never is more. Small chunks stay where they are.
  [[nodiscard]] bool move_some(const RouteSet& set, std::size_t most_bytes);
  // Floats of the set that move_some() would move.
  [[nodiscard]] std::size_t movable_bytes(const RouteSet& set) const noexcept;
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return end_; }

 private:
  struct Extent {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::weak_ptr<const UtteranceChunk> owner;  // expired: the extent is free
  };
  explicit VectorVault(UniqueFd file) noexcept : file_(std::move(file)) {}
  [[nodiscard]] bool move(const std::shared_ptr<const UtteranceChunk>& chunk);
  [[nodiscard]] Extent& find_room(std::uint64_t bytes);

  UniqueFd file_;
  std::vector<Extent> extents_;
  std::uint64_t end_ = 0;
  std::size_t first_to_try_ = 0;  // extents before it were in use when last looked at
  bool has_failed_ = false;
};

}  // namespace tenantd
