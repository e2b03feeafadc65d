// What the probe program says to a worker as a client of one tenant, over a stream.
//
// Runs in: tenantd-probe. The worker may be anybody's: each answer is bounded in size and time, and
// what it holds is looked at and goes nowhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/os/fd.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"

namespace tenantd::probe {

class Conversation {
 public:
  static constexpr int answer_timeout_ms = 5000;

  explicit Conversation(UniqueFd socket) : socket_(std::move(socket)) {}

  // What no answer may hold: another tenant's words.
  void watch_for(std::vector<std::string> secrets) { secrets_ = std::move(secrets); }
  // Takes the welcome and chooses the stream. Errors: the worker's, or unavailable.
  [[nodiscard]] Status open();

  // Errors: the worker's answer; protocol_error or unavailable, and then ended().
  template <class Reply, class Request>
  [[nodiscard]] Result<Reply> call(const Request& request) {
    if (Status sent = send(request); !sent) return tl::unexpected(sent.error());
    return receive<Reply>();
  }

  [[nodiscard]] bool ended() const noexcept { return !socket_; }
  // Answers and, of them, errors.
  [[nodiscard]] std::size_t answers() const noexcept { return answers_; }
  [[nodiscard]] std::size_t errors() const noexcept { return errors_; }
  // Of them, how many held a secret.
  [[nodiscard]] std::size_t leaking_answers() const noexcept { return leaking_answers_; }
  [[nodiscard]] std::size_t leaking_errors() const noexcept { return leaking_errors_; }

 private:
  template <class Request>
  [[nodiscard]] Status send(const Request& request) {
    payload_.clear();
    if (Status encoded = encode(request, payload_); !encoded) return encoded;
    return send_frame(Request::type);
  }
  template <class Reply>
  [[nodiscard]] Result<Reply> receive() {
    Result<FrameHeader> header = receive_frame();
    if (!header) return tl::unexpected(header.error());
    if (header->type == static_cast<std::uint16_t>(Reply::type)) return decode<Reply>(payload_);
    return tl::unexpected(error_of(*header));
  }
  [[nodiscard]] Status send_frame(MessageType type);
  // Leaves its payload in payload_.
  [[nodiscard]] Result<FrameHeader> receive_frame();
  [[nodiscard]] Error error_of(const FrameHeader& header);
  [[nodiscard]] bool read_exactly(void* to, std::size_t size);
  [[nodiscard]] bool holds_secret() const;
  tl::unexpected<Error> lost(const char* why);

  UniqueFd socket_;
  std::uint64_t next_request_id_ = 1;
  std::vector<std::byte> payload_;
  std::vector<std::string> secrets_;
  std::size_t answers_ = 0;
  std::size_t errors_ = 0;
  std::size_t leaking_answers_ = 0;
  std::size_t leaking_errors_ = 0;
};

}  // namespace tenantd::probe
