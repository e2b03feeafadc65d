// One attachment: hello, welcome, transport, then frames both ways until either side goes.
//
// Runs in: client library. Knows nothing of retries (session.h). The server's bytes are hostile
// until decoded; any violation ends the attachment.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/frame_stream.h"
#include "shared/protocol/hello.h"
#include "shared/protocol/messages.h"
#include "shared/ring/client_ring.h"

namespace tenantd::client {

// A copy of a credential, zeroed when it goes.
class Secret {
 public:
  Secret() noexcept = default;
  explicit Secret(const std::string& bytes) : bytes_(bytes.begin(), bytes.end()) {}
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();
  [[nodiscard]] const std::vector<char>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<char> bytes_;
};

struct Target {
  std::string socket_path;
  HelloTarget kind = HelloTarget::tenant;
  std::string tenant;  // empty for control
  Secret token;
  Transport transport = Transport::ring;
};

class Attachment {
 public:
  // Attaches by until_ns. Errors: the server's; unavailable (nobody listens, or the server closed
  // without an answer); deadline_exceeded; unsupported; protocol_error.
  [[nodiscard]] static Result<std::unique_ptr<Attachment>> open(const Target& target,
                                                                std::uint64_t until_ns);

  [[nodiscard]] const Welcome& welcome() const noexcept { return welcome_; }
  [[nodiscard]] Transport transport() const noexcept {
    return ring_ ? Transport::ring : Transport::stream;
  }

  [[nodiscard]] Result<Sending> send(const FrameHeader& header, std::span<const std::byte> payload,
                                     std::uint64_t until_ns);
  // until_ns 0: only what is there. In a ring the worker's end is seen within death_check_ns.
  [[nodiscard]] Result<FrameStream::Received> receive(std::uint64_t until_ns);

  // Past the next tick of any usual kernel: a nearer timer is programmed into the hardware at each
  // sleep and again at each wake-up, which costs more than the sleep itself (7 µs each on a virtual
  // machine).
  static constexpr std::uint64_t death_check_ns = 20'000'000;

 private:
  explicit Attachment(UniqueFd socket) noexcept : stream_(std::move(socket)) {}
  [[nodiscard]] Status say_hello(const Target& target, std::uint64_t until_ns);
  [[nodiscard]] Status agree_transport(Transport wanted, std::uint64_t until_ns);
  // The payload of the next frame, which must be of this type. An error frame becomes its error.
  [[nodiscard]] Result<std::span<const std::byte>> expect(MessageType type, std::uint64_t until_ns);
  [[nodiscard]] Status push_to_ring(const FrameHeader& header, std::span<const std::byte> payload,
                                    std::uint64_t until_ns, Sending& sending);
  [[nodiscard]] Result<FrameStream::Received> receive_from_ring(std::uint64_t until_ns);

  FrameStream stream_;
  std::optional<ClientRing> ring_;
  FrameBuffer buffer_;
  Welcome welcome_;
};

}  // namespace tenantd::client
