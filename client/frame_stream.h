// Frames over a stream socket, with deadlines.
//
// Runs in: client library. What comes in is the server's and validated here as far as a frame goes:
// size, flags, no descriptor unless asked for. Memory: one frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shared/base/error.h"
#include "shared/os/fd.h"
#include "shared/os/socket.h"
#include "shared/ring/ring.h"

namespace tenantd::client {

enum class Progress { done, timed_out, closed };

struct Sending {
  Progress progress = Progress::done;
  bool anything_sent = false;  // when not done: the peer may have seen a part
};

class FrameStream {
 public:
  explicit FrameStream(UniqueFd socket) noexcept : socket_(std::move(socket)) {}

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

  static constexpr std::size_t max_pieces = 4;

  // Sends all pieces by until_ns (CLOCK_MONOTONIC). A partial frame makes the stream useless.
  [[nodiscard]] Result<Sending> send(std::span<const std::span<const std::byte>> pieces,
                                     std::uint64_t until_ns, std::span<const int> descriptors = {});

  struct Received {
    Progress progress = Progress::timed_out;
    FrameView frame;  // when done; the payload is 8-byte aligned, valid until the next receive
  };
  // until_ns 0: only what is there already. Error: protocol_error.
  [[nodiscard]] Result<Received> receive(std::uint64_t until_ns);

  // From now on receive() keeps up to two descriptors, for take_descriptors().
  void accept_descriptors(bool accept) noexcept { accept_descriptors_ = accept; }
  [[nodiscard]] std::vector<UniqueFd> take_descriptors() noexcept {
    return std::exchange(descriptors_, {});
  }
  // Nothing may come any more, only the end. True: it came. Error: protocol_error (bytes came).
  [[nodiscard]] Result<bool> has_ended();

 private:
  void ensure_room(std::size_t bytes);
  [[nodiscard]] Result<bool> whole_frame(FrameView& frame);
  [[nodiscard]] Result<IoOutcome> fill();

  UniqueFd socket_;
  std::unique_ptr<std::uint64_t[]> words_;  // 8-byte aligned: messages hold floats
  std::size_t capacity_ = 0;
  std::size_t filled_ = 0;
  std::size_t consumed_ = 0;  // bytes of the frame given out last
  std::vector<UniqueFd> descriptors_;
  bool accept_descriptors_ = false;
};

// Sleeps until the socket is ready for `events` or until_ns; false at the deadline.
[[nodiscard]] bool wait_for_socket(int fd, short events, std::uint64_t until_ns) noexcept;

}  // namespace tenantd::client
