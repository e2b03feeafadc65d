// How large an attachment's rings are: what a full batch of embeddings needs, within what the
// tenant's memory allows.
//
// Runs in: worker, which offers the size in its welcome; the client makes its memory as large. A
// memory's pages are charged to whoever touches them first: what a client writes to the client's
// control group, what a worker writes, or reads where nobody wrote, to the tenant's. So both
// memories are counted against the tenant's limit.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "shared/ring/ring_layout.h"

namespace tenantd {

// More than the largest batch of common embeddings; larger frames wait for room.
inline constexpr std::uint32_t ring_bytes_by_need_max = 4U << 20U;
// A tenant's rings may hold this part of its memory limit, and this many attachments fit it at
// least, unless even the smallest rings do not.
inline constexpr std::uint64_t ring_memory_share = 4;
inline constexpr std::uint64_t ring_attachments_least = 8;

// Data bytes of each ring: is_valid_ring_bytes. Room for max_batch_size requests of one embedding
// each, sent one by one. memory_max_bytes 0: unknown.
[[nodiscard]] constexpr std::uint32_t ring_bytes_for(std::uint32_t dimension,
                                                     std::uint32_t max_batch_size,
                                                     std::uint64_t memory_max_bytes) noexcept {
  constexpr std::uint64_t other_fields_bytes = 512;  // of a request beside its embedding
  const std::uint64_t request = std::min<std::uint64_t>(
      sizeof(float) * std::uint64_t{dimension} + other_fields_bytes, max_frame_bytes);
  const std::uint64_t needed = record_bytes(static_cast<std::uint32_t>(request)) * max_batch_size;
  std::uint32_t bytes = ring_bytes_min;
  while (bytes < needed && bytes < ring_bytes_by_need_max) bytes *= 2;
  const std::uint64_t share = memory_max_bytes / ring_memory_share / ring_attachments_least;
  while (memory_max_bytes != 0 && bytes > ring_bytes_min && ring_attachment_bytes(bytes) > share) {
    bytes /= 2;
  }
  return bytes;
}

static_assert(is_valid_ring_bytes(ring_bytes_by_need_max));

}  // namespace tenantd
