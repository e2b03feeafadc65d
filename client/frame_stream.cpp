#include "client/frame_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "shared/base/clock.h"

namespace tenantd::client {

bool wait_for_socket(int fd, short events, std::uint64_t until_ns) noexcept {
  for (;;) {
    const std::uint64_t now_ns = monotonic_ns();
    if (now_ns >= until_ns) return false;
    const std::uint64_t left_ns = until_ns - now_ns;
    timespec left{};
    left.tv_sec = static_cast<time_t>(left_ns / 1'000'000'000);
    left.tv_nsec = static_cast<long>(left_ns % 1'000'000'000);
    pollfd item{fd, events, 0};
    const int ready = ::ppoll(&item, 1, &left, nullptr);
    // Any other failure shows at the read or write that follows.
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
  }
}

Result<Sending> FrameStream::send(std::span<const std::span<const std::byte>> pieces,
                                  std::uint64_t until_ns, std::span<const int> descriptors) {
  std::array<std::span<const std::byte>, max_pieces> storage;
  if (pieces.size() > max_pieces) return fail(ErrorCode::internal, "too many pieces");
  std::copy(pieces.begin(), pieces.end(), storage.begin());
  const auto left = std::span(storage).first(pieces.size());
  std::size_t next = 0;
  Sending sending;
  for (;;) {
    while (next < left.size() && left[next].empty()) ++next;
    if (next == left.size()) return sending;
    const auto sent = send_bytes(socket_.get(), left.subspan(next), descriptors);
    if (!sent) return tl::unexpected(sent.error());
    if (sent->outcome == IoOutcome::closed) {
      sending.progress = Progress::closed;
      return sending;
    }
    if (sent->size > 0) {
      descriptors = {};
      sending.anything_sent = true;
    }
    for (std::size_t size = sent->size; size > 0;) {
      const std::size_t part = std::min(size, left[next].size());
      left[next] = left[next].subspan(part);
      size -= part;
      if (left[next].empty()) ++next;
    }
    if (sent->outcome == IoOutcome::would_block &&
        !wait_for_socket(socket_.get(), POLLOUT, until_ns)) {
      sending.progress = Progress::timed_out;
      return sending;
    }
  }
}

void FrameStream::ensure_room(std::size_t bytes) {
  if (bytes <= capacity_) return;
  const std::size_t wanted = std::max<std::size_t>(4096, (bytes + 7) & ~std::size_t{7});
  auto larger = std::make_unique_for_overwrite<std::uint64_t[]>(wanted / sizeof(std::uint64_t));
  if (filled_ > 0) std::memcpy(larger.get(), words_.get(), filled_);
  words_ = std::move(larger);
  capacity_ = wanted;
}

Result<bool> FrameStream::whole_frame(FrameView& frame) {
  if (filled_ < sizeof(FrameHeader)) return false;
  const auto* bytes = reinterpret_cast<const std::byte*>(words_.get());
  std::memcpy(&frame.header, bytes, sizeof frame.header);
  if (frame.header.size > max_frame_bytes || frame.header.flags != 0) {
    return fail(ErrorCode::protocol_error, "the server sent an oversized or unknown frame");
  }
  const std::size_t whole = sizeof(FrameHeader) + frame.header.size;
  if (filled_ < whole) return false;
  frame.payload = {bytes + sizeof(FrameHeader), frame.header.size};
  consumed_ = whole;
  return true;
}

Result<IoOutcome> FrameStream::fill() {
  std::size_t wanted = 4096;
  if (filled_ >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, static_cast<const void*>(words_.get()), sizeof header);
    wanted = std::max(wanted, sizeof header + header.size);  // validated by whole_frame
  }
  ensure_room(wanted);
  const std::span<std::byte> buffer(reinterpret_cast<std::byte*>(words_.get()) + filled_,
                                    capacity_ - filled_);
  auto received = receive_bytes(socket_.get(), buffer, accept_descriptors_);
  if (!received) return tl::unexpected(received.error());
  filled_ += received->size;
  for (std::size_t i = 0; i < received->descriptor_count; ++i) {
    descriptors_.push_back(std::move(received->descriptors[i]));
  }
  if (received->surplus_descriptors || descriptors_.size() > max_passed_descriptors) {
    return fail(ErrorCode::protocol_error, "the server sent too many descriptors");
  }
  return received->outcome;
}

Result<FrameStream::Received> FrameStream::receive(std::uint64_t until_ns) {
  if (consumed_ > 0) {
    auto* bytes = reinterpret_cast<std::byte*>(words_.get());
    std::memmove(bytes, bytes + consumed_, filled_ - consumed_);
    filled_ -= std::exchange(consumed_, 0);
  }
  Received received;
  bool ready = until_ns == 0;  // an answer is rarely there at once: sleep first, then read
  for (;;) {
    const auto whole = whole_frame(received.frame);
    if (!whole) return tl::unexpected(whole.error());
    if (*whole) {
      received.progress = Progress::done;
      return received;
    }
    if (!ready && !wait_for_socket(socket_.get(), POLLIN, until_ns)) return received;
    const auto outcome = fill();
    if (!outcome) return tl::unexpected(outcome.error());
    if (*outcome == IoOutcome::closed) {
      received.progress = Progress::closed;
      return received;
    }
    if (*outcome == IoOutcome::would_block && until_ns == 0) return received;
    ready = until_ns == 0;
  }
}

Result<bool> FrameStream::has_ended() {
  if (filled_ > consumed_) {
    return fail(ErrorCode::protocol_error, "the worker wrote on the socket of a ring");
  }
  std::byte byte{};
  const ssize_t found = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (found > 0) return fail(ErrorCode::protocol_error, "the worker wrote on the socket of a ring");
  return found == 0 || (errno != EAGAIN && errno != EINTR);
}

}  // namespace tenantd::client
