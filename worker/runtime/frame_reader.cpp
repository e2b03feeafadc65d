#include "worker/runtime/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace tenantd {

Status check_frame_header(const FrameHeader& header) {
  if (header.size > max_frame_bytes) {
    return fail(ErrorCode::protocol_error, "a frame of " + std::to_string(header.size) +
                                               " bytes; at most " +
                                               std::to_string(max_frame_bytes) + " are allowed");
  }
  if ((header.flags & ~attempt_mask) != 0) {
    return fail(ErrorCode::protocol_error, "unknown flags");
  }
  return {};
}

void FrameReader::reallocate(std::size_t capacity) {
  auto bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
  if (buffered() > 0) std::memcpy(bytes.get(), bytes_.get() + begin_, buffered());
  end_ = buffered();
  begin_ = 0;
  bytes_ = std::move(bytes);
  capacity_ = capacity;
}

std::span<std::byte> FrameReader::space() {
  std::size_t wanted = sizeof(FrameHeader);
  if (buffered() >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, bytes_.get() + begin_, sizeof header);
    // next() has refused a larger one; the bound here is for a caller that has not asked it.
    wanted += std::min(header.size, max_frame_bytes);
  }
  wanted = std::max(wanted, chunk_bytes);
  if (capacity_ < wanted) {
    reallocate(wanted);
  } else if (begin_ > 0) {
    std::memmove(bytes_.get(), bytes_.get() + begin_, buffered());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == capacity_) reallocate(capacity_ + chunk_bytes);  // only with whole frames unread
  return {bytes_.get() + end_, capacity_ - end_};
}

Result<std::optional<FrameView>> FrameReader::next() {
  if (buffered() < sizeof(FrameHeader)) return std::nullopt;
  FrameView frame{};
  std::memcpy(&frame.header, bytes_.get() + begin_, sizeof frame.header);
  if (const Status sound = check_frame_header(frame.header); !sound) {
    return tl::unexpected(sound.error());
  }
  const std::size_t whole = sizeof(FrameHeader) + frame.header.size;
  if (buffered() < whole) return std::nullopt;
  std::byte* payload = bytes_.get() + begin_ + sizeof(FrameHeader);
  // Decoding needs 4-byte alignment: shift the payload down over its own header, already copied.
  const std::size_t shift = (begin_ + sizeof(FrameHeader)) % alignof(float);
  if (shift > 0) {
    std::memmove(payload - shift, payload, frame.header.size);
    payload -= shift;
  }
  frame.payload = {payload, frame.header.size};
  begin_ += whole;
  return frame;
}

void FrameReader::release_if_empty() noexcept {
  if (buffered() > 0) return;
  bytes_.reset();
  capacity_ = begin_ = end_ = 0;
}

}  // namespace tenantd
