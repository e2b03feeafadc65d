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
#include "shared/ring/ring_memory.h"

namespace tenantd::client {

inline constexpr std::uint64_t never_ns = ~std::uint64_t{0};

[[nodiscard]] inline bool is_type(const FrameView& frame, MessageType type) noexcept {
  return frame.header.type == static_cast<std::uint16_t>(type);
}

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
  // The same in steps that do not block: connects and says hello, then advance() until it is true
  // whenever socket() is readable. Errors as open()'s.
  [[nodiscard]] static Result<std::unique_ptr<Attachment>> begin(const Target& target,
                                                                 std::uint64_t until_ns);
  // until_ns 0: only with what is there.
  [[nodiscard]] Result<bool> advance(std::uint64_t until_ns);

  [[nodiscard]] const Welcome& welcome() const noexcept { return welcome_; }
  [[nodiscard]] Transport transport() const noexcept {
    return ring_ ? Transport::ring : Transport::stream;
  }

  [[nodiscard]] Result<Sending> send(const FrameHeader& header, std::span<const std::byte> payload,
                                     std::uint64_t until_ns);
  // until_ns 0: only what is there. In a ring the worker's end is seen within death_check_ns.
  [[nodiscard]] Result<FrameStream::Received> receive(std::uint64_t until_ns);

  // As receive(0), but looks at the socket's end only once in a while: in a ring that is a system
  // call for nothing, each time that the ring is empty.
  [[nodiscard]] Result<FrameStream::Received> receive_ready();
  // Whether the server can already answer a part of a batch while the rest is pushed.
  [[nodiscard]] bool overlaps() const noexcept { return ring_ && ring_->peer_is_elsewhere(); }

  // For many requests at once. Takes a frame, or is `full`; flush() sends what was taken, as far as
  // that goes without blocking: `timed_out` says that some is left, `closed` that the server went.
  [[nodiscard]] Result<PushOutcome> try_push(const FrameHeader& header,
                                             std::span<const std::byte> payload);
  [[nodiscard]] Result<Progress> flush();
  // Sleeps until there may be a frame (with for_room: or room for one), or until_ns; in a ring for
  // death_check_ns at most.
  void wait(std::uint64_t until_ns, bool for_room) noexcept;
  [[nodiscard]] bool has_unsent() const noexcept { return sent_ < unsent_.size(); }
  [[nodiscard]] int socket() const noexcept { return stream_.fd(); }

  // Past the next tick of any usual kernel: a nearer timer is programmed into the hardware at each
  // sleep and again at each wake-up, which costs more than the sleep itself (7 µs each on a virtual
  // machine).
  static constexpr std::uint64_t death_check_ns = 20'000'000;
  static constexpr std::uint64_t end_check_ns = 1'000'000;

 private:
  explicit Attachment(UniqueFd socket) noexcept : stream_(std::move(socket)) {}
  [[nodiscard]] Status say_hello(const Target& target, std::uint64_t until_ns);
  [[nodiscard]] Result<bool> take_welcome(std::uint64_t until_ns);
  [[nodiscard]] Status choose_transport(std::uint64_t until_ns);
  [[nodiscard]] Result<bool> take_ring_ready(std::uint64_t until_ns);
  // The payload of the next frame, which must be of this type; none by until_ns. An error frame
  // becomes its error.
  using Expected = std::optional<std::span<const std::byte>>;
  [[nodiscard]] Result<Expected> expect(MessageType type, std::uint64_t until_ns);
  [[nodiscard]] Status push_to_ring(const FrameHeader& header, std::span<const std::byte> payload,
                                    std::uint64_t until_ns, Sending& sending);
  [[nodiscard]] Result<FrameStream::Received> receive_from_ring(std::uint64_t until_ns);

  enum class Stage { welcome, ring_ready, attached };
  // Bytes of whole frames that wait for the socket, beyond which try_push() is `full`.
  static constexpr std::size_t max_unsent_bytes = 256U << 10U;

  FrameStream stream_;
  Stage stage_ = Stage::welcome;
  HelloTarget target_kind_ = HelloTarget::tenant;
  Transport wanted_ = Transport::stream;
  std::optional<RingMemory> offered_;  // until ring_ready
  std::vector<std::byte> unsent_;      // a stream's; the first sent_ bytes are out
  std::size_t sent_ = 0;
  std::optional<ClientRing> ring_;
  std::uint64_t end_seen_ns_ = 0;  // when receive_ready() looked at the socket last
  FrameBuffer buffer_;
  Welcome welcome_;
};

}  // namespace tenantd::client
