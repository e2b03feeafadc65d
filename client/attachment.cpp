#include "client/attachment.h"

#include <strings.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"

namespace tenantd::client {
namespace {

std::span<const std::byte> bytes_of(const FrameHeader& header) noexcept {
  return std::as_bytes(std::span(&header, 1));
}

tl::unexpected<Error> not_attached(Progress progress) {
  if (progress == Progress::timed_out) {
    return fail(ErrorCode::deadline_exceeded, "no answer to the hello within the timeout");
  }
  return fail(ErrorCode::unavailable, "the server closed the connection before it answered");
}

// Zeroes the hello, which may hold a token, whatever happens.
struct WipedHello {
  Hello hello;
  ~WipedHello() { ::explicit_bzero(&hello, sizeof hello); }
};

}  // namespace

Secret& Secret::operator=(Secret&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Secret::~Secret() {
  if (!bytes_.empty()) ::explicit_bzero(bytes_.data(), bytes_.size());
}

Result<std::unique_ptr<Attachment>> Attachment::open(const Target& target, std::uint64_t until_ns) {
  auto socket = connect_unix(target.socket_path, SocketKind::stream);
  if (!socket) return tl::unexpected(socket.error());
  std::unique_ptr<Attachment> attachment(new Attachment(std::move(*socket)));
  if (auto said = attachment->say_hello(target, until_ns); !said) {
    return tl::unexpected(said.error());
  }
  const auto payload = attachment->expect(MessageType::welcome, until_ns);
  if (!payload) return tl::unexpected(payload.error());
  auto welcome = decode<Welcome>(*payload);
  if (!welcome) return tl::unexpected(welcome.error());
  if (welcome->version < protocol_version_min || welcome->version > protocol_version_max) {
    return fail(ErrorCode::unsupported, "the server chose a protocol version that was not offered");
  }
  attachment->welcome_ = std::move(*welcome);
  if (target.kind == HelloTarget::tenant) {
    if (auto agreed = attachment->agree_transport(target.transport, until_ns); !agreed) {
      return tl::unexpected(agreed.error());
    }
  }
  return attachment;
}

Status Attachment::say_hello(const Target& target, std::uint64_t until_ns) {
  WipedHello wiped;
  Hello& hello = wiped.hello;
  hello.target = target.kind;
  if (!hello.tenant_id.assign(target.tenant)) {
    return fail(ErrorCode::invalid_argument, "the tenant's id is too long");
  }
  const std::vector<char>& token = target.token.bytes();
  if (!token.empty()) {
    hello.credential = CredentialKind::token;
    hello.token_size = static_cast<std::uint16_t>(token.size());
    std::memcpy(hello.token.data(), token.data(), token.size());
  }
  const std::span<const std::byte> bytes = std::as_bytes(std::span(&hello, 1));
  const auto sent = stream_.send(std::span(&bytes, 1), until_ns);
  if (!sent) return tl::unexpected(sent.error());
  // A server may refuse and close before it read everything: its error frame is still to be read.
  if (sent->progress == Progress::timed_out) return not_attached(sent->progress);
  return {};
}

Result<std::span<const std::byte>> Attachment::expect(MessageType type, std::uint64_t until_ns) {
  const auto received = stream_.receive(until_ns);
  if (!received) return tl::unexpected(received.error());
  if (received->progress != Progress::done) return not_attached(received->progress);
  const FrameView& frame = received->frame;
  if (frame.header.type == static_cast<std::uint16_t>(type)) return frame.payload;
  if (frame.header.type == static_cast<std::uint16_t>(MessageType::error)) {
    const auto message = decode<ErrorMessage>(frame.payload);
    if (!message) return tl::unexpected(message.error());
    return fail(message->to_error());
  }
  if (frame.header.type == static_cast<std::uint16_t>(MessageType::goaway)) {
    return fail(ErrorCode::unavailable, "the worker is going away");
  }
  return fail(ErrorCode::protocol_error, "the server's answer to the hello has the wrong type");
}

Status Attachment::agree_transport(Transport wanted, std::uint64_t until_ns) {
  std::optional<RingMemory> memory;
  if (wanted == Transport::ring && is_valid_ring_bytes(welcome_.ring_bytes)) {
    // Without memory or descriptors for a ring the stream still serves.
    if (auto created = RingMemory::create(welcome_.ring_bytes)) memory = std::move(*created);
  }
  ChooseTransport choice;
  choice.transport = memory ? Transport::ring : Transport::stream;
  std::vector<std::byte> payload;
  if (auto encoded = encode(choice, payload); !encoded) return encoded;
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(MessageType::choose_transport);
  header.size = static_cast<std::uint32_t>(payload.size());
  header.deadline_ns = until_ns;
  const std::array<std::span<const std::byte>, 2> pieces = {bytes_of(header), payload};
  const int descriptor = memory ? memory->fd() : -1;
  const auto sent = stream_.send(pieces, until_ns, std::span(&descriptor, memory ? 1 : 0));
  if (!sent) return tl::unexpected(sent.error());
  if (sent->progress == Progress::timed_out) return not_attached(sent->progress);

  stream_.accept_descriptors(memory.has_value());
  const auto answer = expect(MessageType::ring_ready, until_ns);
  stream_.accept_descriptors(false);
  if (!answer) return tl::unexpected(answer.error());
  const auto ready = decode<RingReady>(*answer);
  if (!ready) return tl::unexpected(ready.error());
  auto descriptors = stream_.take_descriptors();
  if (ready->transport == Transport::stream) {
    if (descriptors.empty()) return {};
    return fail(ErrorCode::protocol_error, "the worker sent descriptors without a ring");
  }
  if (!memory || descriptors.size() != 2) {
    return fail(ErrorCode::protocol_error, "the worker's ring does not match what was chosen");
  }
  auto ring =
      ClientRing::open(std::move(*memory), std::move(descriptors[0]), std::move(descriptors[1]));
  if (!ring) return tl::unexpected(ring.error());
  ring_.emplace(std::move(*ring));
  return {};
}

Status Attachment::push_to_ring(const FrameHeader& header, std::span<const std::byte> payload,
                                std::uint64_t until_ns, Sending& sending) {
  for (;;) {
    const auto pushed = ring_->try_push(header, payload);
    if (!pushed) return tl::unexpected(pushed.error());
    if (*pushed == PushOutcome::pushed) {
      ring_->publish();
      sending.anything_sent = true;
      return {};
    }
    // Only requests whose callers gave up can fill a ring; a worker that takes none is no use.
    const std::uint64_t now_ns = monotonic_ns();
    const auto ended = stream_.has_ended();
    if (!ended) return tl::unexpected(ended.error());
    if (*ended || now_ns >= until_ns) {
      sending.progress = *ended ? Progress::closed : Progress::timed_out;
      return {};
    }
    ring_->wait(std::min(until_ns, now_ns + death_check_ns), true);
    // Answers to given-up requests must not keep the worker from going on.
    const auto stale = ring_->pop(buffer_);
    if (!stale) return tl::unexpected(stale.error());
    ring_->publish();
    if (stale->has_value() &&
        (*stale)->header.type == static_cast<std::uint16_t>(MessageType::goaway)) {
      sending.progress = Progress::closed;  // nothing of this request was taken
      return {};
    }
  }
}

Result<Sending> Attachment::send(const FrameHeader& header, std::span<const std::byte> payload,
                                 std::uint64_t until_ns) {
  if (!ring_) {
    const std::array<std::span<const std::byte>, 2> pieces = {bytes_of(header), payload};
    return stream_.send(pieces, until_ns);
  }
  Sending sending;
  if (auto pushed = push_to_ring(header, payload, until_ns, sending); !pushed) {
    return tl::unexpected(pushed.error());
  }
  return sending;
}

Result<FrameStream::Received> Attachment::receive_from_ring(std::uint64_t until_ns) {
  FrameStream::Received received;
  bool ended = false;
  for (;;) {
    auto frame = ring_->pop(buffer_);
    if (!frame) return tl::unexpected(frame.error());
    if (frame->has_value()) {
      received.progress = Progress::done;
      received.frame = **frame;
      return received;
    }
    if (ended) {  // looked once more after the end: nothing was left behind
      received.progress = Progress::closed;
      return received;
    }
    const std::uint64_t now_ns = monotonic_ns();
    if (until_ns != 0 && now_ns < until_ns) {
      const std::uint64_t wait_ns = std::min(until_ns, now_ns + death_check_ns);
      ring_->wait(wait_ns);
      if (monotonic_ns() < wait_ns) continue;
    }
    const auto end = stream_.has_ended();
    if (!end) return tl::unexpected(end.error());
    ended = *end;
    if (!ended && (until_ns == 0 || monotonic_ns() >= until_ns)) return received;
  }
}

Result<FrameStream::Received> Attachment::receive(std::uint64_t until_ns) {
  return ring_ ? receive_from_ring(until_ns) : stream_.receive(until_ns);
}

}  // namespace tenantd::client
