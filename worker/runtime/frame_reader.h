// Whole frames out of a stream of bytes that a peer wrote.
//
// Runs in: worker, loop thread. Hostile input: a header is judged before a payload is waited for,
// so a peer makes this hold one frame at most (plus what one read brought with it).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "shared/base/error.h"
#include "shared/ring/ring.h"

namespace tenantd {

// protocol_error: larger than max_frame_bytes, or flags that version 1 does not have.
[[nodiscard]] Status check_frame_header(const FrameHeader& header);

class FrameReader {
 public:
  static constexpr std::size_t chunk_bytes = 16U << 10U;

  // Where to receive into: never empty. Invalidates views of earlier frames.
  [[nodiscard]] std::span<std::byte> space();
  void received(std::size_t bytes) noexcept { end_ += bytes; }
  // The next whole frame, its payload 4-byte aligned and valid until the next call of any function
  // here; none: more bytes are needed. Error: protocol_error, after which the reader is not to be
  // used.
  [[nodiscard]] Result<std::optional<FrameView>> next();

  [[nodiscard]] std::size_t buffered() const noexcept { return end_ - begin_; }
  // Frees the memory while nothing is buffered.
  void release_if_empty() noexcept;

 private:
  void reallocate(std::size_t capacity);

  std::unique_ptr<std::byte[]> bytes_;  // new[] aligns it for any scalar
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // begin_ ≤ end_ ≤ capacity_
  std::size_t end_ = 0;
};

}  // namespace tenantd
