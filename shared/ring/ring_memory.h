// The two memfds of a ring: the own one, sealed once mapped, and the peer's, checked and read-only.
//
// Runs in: worker, client library. The peer's descriptor is hostile: nothing is mapped before its
// seals (SHRINK|GROW|FUTURE_WRITE|SEAL) and its exact size are checked, so no access can raise
// SIGBUS and no peer can make this side map or touch more than it agreed to. Source:
// memfd_create(2), F_ADD_SEALS.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>

#include "shared/base/error.h"
#include "shared/os/fd.h"
#include "shared/ring/ring_layout.h"

namespace tenantd {

// The memory this side writes.
class RingMemory {
 public:
  // A fresh memfd of ring_header_bytes + ring_bytes, mapped writable, then sealed. Errors:
  // invalid_argument (not a ring size), internal with errno.
  [[nodiscard]] static Result<RingMemory> create(std::uint32_t ring_bytes);

  // To send to the peer; owned by this object.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  void close_fd() noexcept { fd_.reset(); }  // once sent; the mapping stays
  [[nodiscard]] RingHeader& header() const noexcept {
    return *static_cast<RingHeader*>(region_.get_address());
  }
  [[nodiscard]] std::byte* data() const noexcept {
    return static_cast<std::byte*>(region_.get_address()) + ring_header_bytes;
  }
  [[nodiscard]] std::uint32_t ring_bytes() const noexcept { return ring_bytes_; }

 private:
  RingMemory() = default;
  UniqueFd fd_;
  boost::interprocess::mapped_region region_;
  std::uint32_t ring_bytes_ = 0;
};

// The memory the peer writes.
class PeerRingMemory {
 public:
  // Checks, maps read-only and closes the descriptor. Errors: protocol_error when it is no memfd
  // with exactly the agreed size and seals; internal with errno.
  [[nodiscard]] static Result<PeerRingMemory> open(UniqueFd peer_memory, std::uint32_t ring_bytes);

  [[nodiscard]] const RingHeader& header() const noexcept {
    return *static_cast<const RingHeader*>(region_.get_address());
  }
  [[nodiscard]] const std::byte* data() const noexcept {
    return static_cast<const std::byte*>(region_.get_address()) + ring_header_bytes;
  }

 private:
  PeerRingMemory() = default;
  boost::interprocess::mapped_region region_;
};

}  // namespace tenantd
