// One client of the worker, over the stream transport: the handshake, then requests and answers.
//
// Runs in: the example worker. Everything that arrives is hostile: a violation ends this connection
// only. Holds at most one frame that is being received, and answers that the client does not read
// up to a bound, beyond which it reads no further request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/contract/tenant_settings.h"
#include "shared/os/fd.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"

namespace tenantd::example {

// What all connections share.
struct Shared {
  std::uint64_t generation = 0;
  TenantSettings settings{};
  std::uint64_t answered = 0;  // requests, errors included
  std::uint64_t errors = 0;
  std::uint64_t faults = 0;  // connections that broke the protocol
};

class Connection {
 public:
  Connection(UniqueFd socket, Shared& shared);

  // Each returns false once the connection is over: then it is to be destroyed.
  [[nodiscard]] bool start();
  [[nodiscard]] bool on_events(short events);
  // No further request is taken; over once all is sent.
  [[nodiscard]] bool drain(GoawayReason reason);
  // Has waited too long for the peer: to choose its transport, or to read.
  [[nodiscard]] bool is_overdue(std::uint64_t now_ns) const noexcept;
  // Says why, if there is room for it, before the connection is destroyed.
  void refuse(const Error& error);

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] short wanted_events() const noexcept;

 private:
  enum class Phase : std::uint8_t { choosing, serving, ending };

  [[nodiscard]] bool receive();
  [[nodiscard]] bool take_frames();
  // False: the peer broke the protocol.
  [[nodiscard]] bool take(const FrameHeader& header, std::span<const std::byte> payload);
  [[nodiscard]] bool choose(const FrameHeader& header, std::span<const std::byte> payload);
  [[nodiscard]] bool answer_route(const FrameHeader& header, std::span<const std::byte> payload);
  void answer_error(std::uint64_t request_id, ErrorCode code, const char* message);
  [[nodiscard]] bool flush();

  UniqueFd socket_;
  Shared& shared_;
  Phase phase_ = Phase::choosing;
  std::vector<std::byte> in_;
  std::vector<std::byte> out_;
  std::uint64_t last_request_id_ = 0;
  std::uint64_t progress_ns_;
};

}  // namespace tenantd::example
