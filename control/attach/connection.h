// One operator's connection: frames in, frames out, both bounded.
//
// Runs in: control. Every byte is hostile. A peer that sends a malformed or oversized frame, stops
// in the middle of one, or does not read its answers is dropped, and only that peer.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "shared/loop/loop.h"
#include "shared/os/fd.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"

namespace tenantd {

struct ConnectionLimits {
  std::uint64_t frame_timeout_ms = 5'000;   // from a frame's first byte to its last
  std::uint64_t write_timeout_ms = 10'000;  // without a byte taken by the peer
};

class Connection {
 public:
  static constexpr std::uint32_t max_request_bytes = 4096;      // requests to control are small
  static constexpr std::size_t max_in_flight = 8;               // then nothing more is read
  static constexpr std::size_t max_queued_bytes = 256U << 10U;  // likewise

  // Error: protocol_error ends the connection after an error frame.
  using OnRequest =
      std::function<Status(const FrameHeader& header, std::span<const std::byte> payload)>;
  using OnClosed = std::function<void()>;  // once; may destroy the connection

  [[nodiscard]] static Result<std::unique_ptr<Connection>> create(Loop& loop, UniqueFd socket,
                                                                  ConnectionLimits limits,
                                                                  OnRequest on_request,
                                                                  OnClosed on_closed);
  ~Connection();

  // Sends or queues a frame; `request_id` 0: not an answer. A dead peer is reported later.
  void send(MessageType type, std::uint64_t request_id, std::span<const std::byte> payload);
  // The same, and the request counts as answered.
  void answer(MessageType type, std::uint64_t request_id, std::span<const std::byte> payload);
  [[nodiscard]] std::uint64_t last_request_id() const noexcept { return last_request_id_; }

 private:
  Connection(Loop& loop, UniqueFd socket, ConnectionLimits limits, OnRequest on_request,
             OnClosed on_closed);
  void on_ready(int events);
  void receive();
  void take_frames();
  // False: the connection is closed and maybe destroyed.
  [[nodiscard]] bool take_frame(const FrameHeader& header, std::span<const std::byte> payload);
  void refuse(std::uint64_t request_id, const Error& error);
  void flush();
  void update();
  void close();
  [[nodiscard]] bool paused() const noexcept;

  UniqueFd socket_;
  ConnectionLimits limits_;
  OnRequest on_request_;
  OnClosed on_closed_;
  std::vector<std::byte> input_;  // at most one frame's bound
  std::size_t input_used_ = 0;
  std::deque<std::vector<std::byte>> output_;
  std::size_t output_offset_ = 0;  // sent of output_.front()
  std::size_t output_bytes_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t last_request_id_ = 0;
  bool taking_ = false;  // take_frames() runs: answers given meanwhile do not start it again
  std::shared_ptr<bool> alive_;
  Poll poll_;
  Timer frame_timer_;
  Timer write_timer_;
  Timer resume_timer_;
};

}  // namespace tenantd
