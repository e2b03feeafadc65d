// The frame: how every message after the hello travels, on the socket and inside the rings.
//
// 24 bytes of header, then `size` bytes of payload (codec.h). Little-endian. A receiver checks size
// against max_frame_bytes before it waits for, or copies, a payload.
#pragma once

#include <cstdint>
#include <type_traits>

namespace tenantd {

// Payload bound of one frame. Larger work is sent in several frames (imports, exports).
inline constexpr std::uint32_t max_frame_bytes = 128U << 10U;

// Of a request's flags: how often it was sent before to a worker that went away without an answer,
// and so may have run; 15 means at least as often.
inline constexpr std::uint16_t attempt_mask = 0x000f;

struct FrameHeader {
  std::uint32_t size = 0;   // of the payload, ≤ max_frame_bytes
  std::uint16_t type = 0;   // MessageType
  std::uint16_t flags = 0;  // a request: attempt_mask; everything else is 0 in version 1
  std::uint64_t request_id =
      0;  // chosen by the client, echoed in the answer; 0: not about a request
  std::uint64_t deadline_ns =
      0;  // CLOCK_MONOTONIC of this machine; 0: none. Late requests are not run
};

static_assert(std::is_trivially_copyable_v<FrameHeader> && sizeof(FrameHeader) == 24);

}  // namespace tenantd
