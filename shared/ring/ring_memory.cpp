#include "shared/ring/ring_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <boost/interprocess/exceptions.hpp>
#include <cerrno>
#include <new>

namespace tenantd {
namespace {

namespace bip = boost::interprocess;

constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

// What mapped_region asks of a mappable: a handle. No name in /dev/shm is ever made.
class MemfdMapping {
 public:
  explicit MemfdMapping(int fd) noexcept : fd_(fd) {}
  [[nodiscard]] bip::mapping_handle_t get_mapping_handle() const noexcept {
    return bip::ipcdetail::mapping_handle_from_file_handle(fd_);
  }

 private:
  int fd_;
};

std::size_t memory_bytes(std::uint32_t ring_bytes) noexcept {
  return ring_header_bytes + std::size_t{ring_bytes};
}

Result<bip::mapped_region> map_memfd(int fd, bip::mode_t mode, std::uint32_t ring_bytes) {
  try {
    return bip::mapped_region(MemfdMapping(fd), mode, 0, memory_bytes(ring_bytes));
  } catch (const bip::interprocess_exception& exception) {
    return fail_errno("map ring memory", exception.get_native_error());
  }
}

}  // namespace

Result<RingMemory> RingMemory::create(std::uint32_t ring_bytes) {
  if (!is_valid_ring_bytes(ring_bytes)) {
    return fail(ErrorCode::invalid_argument,
                "a ring cannot have " + std::to_string(ring_bytes) + " bytes");
  }
  RingMemory memory;
  memory.ring_bytes_ = ring_bytes;
  memory.fd_.reset(::memfd_create("tenantd-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.fd_) return fail_errno("memfd_create", errno);
  if (::ftruncate(memory.fd_.get(), static_cast<off_t>(memory_bytes(ring_bytes))) != 0) {
    return fail_errno("ftruncate ring memory", errno);
  }
  auto region = map_memfd(memory.fd_.get(), bip::read_write, ring_bytes);
  if (!region) return tl::unexpected(region.error());
  memory.region_ = std::move(*region);
  // Only now: FUTURE_WRITE refuses new writable mappings, its owner's included.
  if (::fcntl(memory.fd_.get(), F_ADD_SEALS, seals) != 0) return fail_errno("F_ADD_SEALS", errno);
  new (memory.region_.get_address()) RingHeader();
  return memory;
}

Result<PeerRingMemory> PeerRingMemory::open(UniqueFd peer_memory, std::uint32_t ring_bytes) {
  if (!is_valid_ring_bytes(ring_bytes)) {
    return fail(ErrorCode::protocol_error, "the peer's ring size is not a legal one");
  }
  const int found = ::fcntl(peer_memory.get(), F_GET_SEALS);
  if (found < 0 || (found & seals) != seals) {
    return fail(ErrorCode::protocol_error, "the peer's ring memory is not sealed");
  }
  struct stat info {};
  if (::fstat(peer_memory.get(), &info) != 0) return fail_errno("fstat ring memory", errno);
  if (info.st_size != static_cast<off_t>(memory_bytes(ring_bytes))) {
    return fail(ErrorCode::protocol_error, "the peer's ring memory has the wrong size");
  }
  auto region = map_memfd(peer_memory.get(), bip::read_only, ring_bytes);
  if (!region) return tl::unexpected(region.error());
  PeerRingMemory memory;
  memory.region_ = std::move(*region);
  return memory;
}

}  // namespace tenantd
