#include "client/attachment.h"

#include <poll.h>
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

tl::unexpected<Error> no_answer() {
  return fail(ErrorCode::deadline_exceeded, "no answer to the hello within the timeout");
}

tl::unexpected<Error> closed_early() {
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
  auto attachment = begin(target, until_ns);
  if (!attachment) return attachment;
  const auto attached = (*attachment)->advance(until_ns);
  if (!attached) return tl::unexpected(attached.error());
  if (!*attached) return no_answer();
  return attachment;
}

Result<std::unique_ptr<Attachment>> Attachment::begin(const Target& target,
                                                      std::uint64_t until_ns) {
  auto socket = connect_unix(target.socket_path, SocketKind::stream);
  if (!socket) return tl::unexpected(socket.error());
  std::unique_ptr<Attachment> attachment(new Attachment(std::move(*socket)));
  attachment->target_kind_ = target.kind;
  attachment->wanted_ = target.transport;
  if (auto said = attachment->say_hello(target, until_ns); !said) {
    return tl::unexpected(said.error());
  }
  return attachment;
}

Result<bool> Attachment::advance(std::uint64_t until_ns) {
  if (stage_ == Stage::welcome) {
    const auto taken = take_welcome(until_ns);
    if (!taken || !*taken) return taken;
    stage_ = Stage::attached;
    if (target_kind_ == HelloTarget::tenant) {
      if (auto chosen = choose_transport(until_ns); !chosen) return tl::unexpected(chosen.error());
      stage_ = Stage::ring_ready;
    }
  }
  if (stage_ == Stage::ring_ready) {
    const auto taken = take_ring_ready(until_ns);
    if (!taken || !*taken) return taken;
    stage_ = Stage::attached;
  }
  return true;
}

Result<bool> Attachment::take_welcome(std::uint64_t until_ns) {
  const auto payload = expect(MessageType::welcome, until_ns);
  if (!payload) return tl::unexpected(payload.error());
  if (!*payload) return false;
  auto welcome = decode<Welcome>(**payload);
  if (!welcome) return tl::unexpected(welcome.error());
  if (welcome->version < protocol_version_min || welcome->version > protocol_version_max) {
    return fail(ErrorCode::unsupported, "the server chose a protocol version that was not offered");
  }
  welcome_ = std::move(*welcome);
  return true;
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
  if (sent->progress == Progress::timed_out) return no_answer();
  return {};
}

Result<Attachment::Expected> Attachment::expect(MessageType type, std::uint64_t until_ns) {
  const auto received = stream_.receive(until_ns);
  if (!received) return tl::unexpected(received.error());
  if (received->progress == Progress::closed) return closed_early();
  if (received->progress == Progress::timed_out) return Expected{};
  const FrameView& frame = received->frame;
  if (is_type(frame, type)) return Expected{frame.payload};
  if (is_type(frame, MessageType::error)) {
    const auto message = decode<ErrorMessage>(frame.payload);
    if (!message) return tl::unexpected(message.error());
    return fail(message->to_error());
  }
  if (is_type(frame, MessageType::goaway)) {
    return fail(ErrorCode::unavailable, "the worker is going away");
  }
  return fail(ErrorCode::protocol_error, "the server's answer to the hello has the wrong type");
}

Status Attachment::choose_transport(std::uint64_t until_ns) {
  if (wanted_ == Transport::ring && is_valid_ring_bytes(welcome_.ring_bytes)) {
    // Without memory or descriptors for a ring the stream still serves.
    if (auto created = RingMemory::create(welcome_.ring_bytes)) offered_ = std::move(*created);
  }
  ChooseTransport choice;
  choice.transport = offered_ ? Transport::ring : Transport::stream;
  std::vector<std::byte> payload;
  if (auto encoded = encode(choice, payload); !encoded) return encoded;
  FrameHeader header;
  header.type = static_cast<std::uint16_t>(MessageType::choose_transport);
  header.size = static_cast<std::uint32_t>(payload.size());
  header.deadline_ns = until_ns;
  const std::array<std::span<const std::byte>, 2> pieces = {bytes_of(header), payload};
  const int descriptor = offered_ ? offered_->fd() : -1;
  const auto sent = stream_.send(pieces, until_ns, std::span(&descriptor, offered_ ? 1 : 0));
  if (!sent) return tl::unexpected(sent.error());
  if (sent->progress == Progress::timed_out) return no_answer();
  stream_.accept_descriptors(offered_.has_value());
  return {};
}

Result<bool> Attachment::take_ring_ready(std::uint64_t until_ns) {
  const auto answer = expect(MessageType::ring_ready, until_ns);
  if (!answer) return tl::unexpected(answer.error());
  if (!*answer) return false;
  stream_.accept_descriptors(false);
  const auto ready = decode<RingReady>(**answer);
  if (!ready) return tl::unexpected(ready.error());
  auto memory = std::exchange(offered_, std::nullopt);
  auto descriptors = stream_.take_descriptors();
  if (ready->transport == Transport::stream) {
    if (descriptors.empty()) return true;
    return fail(ErrorCode::protocol_error, "the worker sent descriptors without a ring");
  }
  if (!memory || descriptors.size() != 2) {
    return fail(ErrorCode::protocol_error, "the worker's ring does not match what was chosen");
  }
  auto ring =
      ClientRing::open(std::move(*memory), std::move(descriptors[0]), std::move(descriptors[1]));
  if (!ring) return tl::unexpected(ring.error());
  ring_.emplace(std::move(*ring));
  return true;
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
    if (stale->has_value() && is_type(**stale, MessageType::goaway)) {
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

Result<PushOutcome> Attachment::try_push(const FrameHeader& header,
                                         std::span<const std::byte> payload) {
  if (ring_) return ring_->try_push(header, payload);
  if (!unsent_.empty() && unsent_.size() - sent_ + payload.size() > max_unsent_bytes) {
    return PushOutcome::full;
  }
  if (sent_ > max_unsent_bytes) {  // a socket that is never quite empty must not make this grow
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent_));
    sent_ = 0;
  }
  const auto head = bytes_of(header);
  unsent_.insert(unsent_.end(), head.begin(), head.end());
  unsent_.insert(unsent_.end(), payload.begin(), payload.end());
  return PushOutcome::pushed;
}

Result<Progress> Attachment::flush() {
  if (ring_) {
    ring_->publish();
    return Progress::done;
  }
  while (sent_ < unsent_.size()) {
    const auto piece = std::span<const std::byte>(unsent_).subspan(sent_);
    const auto sent = send_bytes(stream_.fd(), std::span(&piece, 1));
    if (!sent) return tl::unexpected(sent.error());
    if (sent->outcome == IoOutcome::closed) return Progress::closed;
    sent_ += sent->size;
    if (sent->outcome == IoOutcome::would_block) return Progress::timed_out;
  }
  unsent_.clear();
  sent_ = 0;
  return Progress::done;
}

void Attachment::wait(std::uint64_t until_ns, bool for_room) noexcept {
  if (ring_) return ring_->wait(std::min(until_ns, monotonic_ns() + death_check_ns), for_room);
  const int events = POLLIN | (for_room ? POLLOUT : 0);
  (void)wait_for_socket(stream_.fd(), static_cast<short>(events), until_ns);
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
      if (ring_->readable() || monotonic_ns() < wait_ns) continue;
    }
    const auto end = stream_.has_ended();
    if (!end) return tl::unexpected(end.error());
    ended = *end;
    if (!ended && (until_ns == 0 || monotonic_ns() >= until_ns)) return received;
  }
}

Result<FrameStream::Received> Attachment::receive_ready() {
  if (!ring_ || ring_->readable()) return receive(0);
  const std::uint64_t now_ns = monotonic_ns();
  if (now_ns - end_seen_ns_ < end_check_ns) return FrameStream::Received{};
  end_seen_ns_ = now_ns;
  return receive(0);
}

Result<FrameStream::Received> Attachment::receive(std::uint64_t until_ns) {
  return ring_ ? receive_from_ring(until_ns) : stream_.receive(until_ns);
}

}  // namespace tenantd::client
