#include "worker/store/vector_vault.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tenantd {
namespace {

// Of 65,530 that a process may have (vm.max_map_count), and no chunk takes more than one.
constexpr std::size_t most_extents = 32'768;

bool write_all(int fd, const float* values, std::size_t bytes, std::uint64_t offset) noexcept {
  const char* next = reinterpret_cast<const char*>(values);
  while (bytes > 0) {
    const ssize_t n = ::pwrite(fd, next, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    next += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

Result<VectorVault> VectorVault::open(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!file) return fail_errno("open " + path, errno);
  if (::ftruncate(file.get(), 0) != 0) return fail_errno("ftruncate " + path, errno);
  return VectorVault(std::move(file));
}

std::size_t VectorVault::movable_bytes(const RouteSet& set) const noexcept {
  if (has_failed_) return 0;
  std::size_t bytes = 0;
  for (const auto& route : set.routes) {
    for (const auto& chunk : route->chunks) bytes += chunk->vectors.movable_bytes();
  }
  return bytes;
}

bool VectorVault::move_some(const RouteSet& set, std::size_t most_bytes) {
  std::size_t moved = 0;
  first_to_try_ = 0;
  for (const auto& route : set.routes) {
    for (const auto& chunk : route->chunks) {
      const std::size_t bytes = chunk->vectors.movable_bytes();
      if (bytes == 0) continue;
      if (has_failed_) return false;
      if (moved > 0 && moved + bytes > most_bytes) return true;
      has_failed_ = !move(chunk);
      moved += bytes;
    }
  }
  return false;
}

bool VectorVault::move(const std::shared_ptr<const UtteranceChunk>& chunk) {
  const Matrix& vectors = chunk->vectors;
  const std::size_t bytes = vectors.movable_bytes();
  if (extents_.size() >= most_extents) return false;
  Extent& extent = find_room(bytes);
  if (!write_all(file_.get(), vectors.data(), bytes, extent.offset)) return false;
  if (!vectors.move_to_file(file_.get(), extent.offset)) return false;
  extent.owner = chunk;
  return true;
}

VectorVault::Extent& VectorVault::find_room(std::uint64_t bytes) {
  for (; first_to_try_ < extents_.size(); ++first_to_try_) {
    Extent& extent = extents_[first_to_try_];
    if (extent.bytes >= bytes && extent.owner.expired()) return extents_[first_to_try_++];
  }
  extents_.push_back({end_, bytes, {}});
  end_ += bytes;
  return extents_.back();
}

}  // namespace tenantd
