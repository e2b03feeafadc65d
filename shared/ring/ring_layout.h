// The bytes of a ring's shared memory: one page of header, then the data area.
//
// Each side owns one such memory and is the only one that can write it; the other maps it
// read-only. So everything a side publishes is here: what it produced (tail, data), what it
// consumed of the other's data (head), whether and for what it sleeps, where it runs. Read by
// worker and client library; all that comes from the peer's memory is hostile until validated
// (ring.cpp).
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shared/protocol/frame.h"

namespace tenantd {

inline constexpr std::size_t ring_header_bytes = 4096;
inline constexpr std::size_t cache_line_bytes = 64;
inline constexpr std::size_t record_alignment = 8;

// Data bytes of each ring, as the worker offers them (Welcome.ring_bytes). A power of two with room
// for every legal frame.
inline constexpr std::uint32_t ring_bytes_default = 256U << 10U;
inline constexpr std::uint32_t ring_bytes_min = 256U << 10U;
inline constexpr std::uint32_t ring_bytes_max = 16U << 20U;

// What one attachment can make each side hold in shared memory: to be weighed against memory_max.
[[nodiscard]] constexpr std::size_t ring_attachment_bytes(std::uint32_t ring_bytes) noexcept {
  return 2 * (ring_header_bytes + std::size_t{ring_bytes});
}
[[nodiscard]] constexpr bool is_valid_ring_bytes(std::uint32_t ring_bytes) noexcept {
  return std::has_single_bit(ring_bytes) && ring_bytes >= ring_bytes_min &&
         ring_bytes <= ring_bytes_max;
}
// Bytes a frame takes in the data area: its header and its payload, padded.
[[nodiscard]] constexpr std::uint64_t record_bytes(std::uint32_t payload_bytes) noexcept {
  return sizeof(FrameHeader) +
         ((std::uint64_t{payload_bytes} + record_alignment - 1) & ~(record_alignment - 1));
}

// Bits of RingHeader::sleep; the rest counts sleeps, so that one sleep is rung once.
inline constexpr std::uint32_t sleep_for_frames = 1;
inline constexpr std::uint32_t sleep_for_space = 2;
inline constexpr std::uint32_t sleep_mask = 3;

// A batch is shown in pieces of so many frames while the peer runs on another CPU, so that both
// work at once. On the same CPU one piece is best: each would wake the peer and switch to it.
inline constexpr std::size_t overlap_frames = 8;

// tail and head count bytes since the ring's start and never wrap (2^64 bytes).
struct RingHeader {
  alignas(cache_line_bytes) std::atomic<std::uint64_t> tail{
      0};  // published into this memory's data
  alignas(cache_line_bytes) std::atomic<std::uint64_t> head{0};   // consumed from the peer's data
  alignas(cache_line_bytes) std::atomic<std::uint32_t> sleep{0};  // awake while its low bits are 0
  alignas(cache_line_bytes) std::atomic<std::uint32_t> doorbell{0};  // futex word: rings the peer
  alignas(cache_line_bytes) std::atomic<std::uint32_t> cpu{0};       // where the owner ran last
  alignas(cache_line_bytes) std::byte reserved[ring_header_bytes - 5 * cache_line_bytes]{};
};

static_assert(sizeof(RingHeader) == ring_header_bytes && alignof(RingHeader) == cache_line_bytes);
static_assert(offsetof(RingHeader, tail) == 0 && offsetof(RingHeader, head) == 64 &&
              offsetof(RingHeader, sleep) == 128 && offsetof(RingHeader, doorbell) == 192 &&
              offsetof(RingHeader, cpu) == 256);
static_assert(std::is_standard_layout_v<RingHeader>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint64_t>) == 8 && sizeof(std::atomic<std::uint32_t>) == 4);
static_assert(record_bytes(max_frame_bytes) <= ring_bytes_min, "every legal frame must fit");
static_assert(sizeof(FrameHeader) % record_alignment == 0);

}  // namespace tenantd
