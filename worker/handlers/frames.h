// Frames into a buffer: what a worker says to a client.
//
// Runs in: worker. Only our own messages are written here; a message over its bounds is our error.
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "shared/protocol/codec.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"

namespace tenantd {

// Appends one whole frame to `out`. Errors: invalid_argument (a field over its bound),
// resource_exhausted (over max_frame_bytes); `out` keeps its size then.
template <class T>
[[nodiscard]] Status append_frame(std::vector<std::byte>& out, std::uint64_t request_id,
                                  const T& message) {
  const std::size_t start = out.size();
  out.resize(start + sizeof(FrameHeader));
  const Status encoded = encode(message, out);
  const std::size_t payload_bytes = out.size() - start - sizeof(FrameHeader);
  if (!encoded || payload_bytes > max_frame_bytes) {
    out.resize(start);
    if (!encoded) return encoded;
    return fail(ErrorCode::resource_exhausted, "the answer does not fit a frame",
                "ask for less at once");
  }
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload_bytes);
  header.type = static_cast<std::uint16_t>(T::type);
  header.request_id = request_id;
  std::memcpy(out.data() + start, &header, sizeof header);
  return {};
}

// Appends an error frame about a request (0: about the attachment); always fits.
void append_error(std::vector<std::byte>& out, std::uint64_t request_id, const Error& error);

// Appends the answer, or an error frame where there is none or it does not fit. True: an answer.
template <class T>
bool append_answer(std::vector<std::byte>& out, std::uint64_t request_id, const Result<T>& answer) {
  if (!answer) {
    append_error(out, request_id, answer.error());
    return false;
  }
  const Status appended = append_frame(out, request_id, *answer);
  if (!appended) append_error(out, request_id, appended.error());
  return appended.has_value();
}

}  // namespace tenantd
