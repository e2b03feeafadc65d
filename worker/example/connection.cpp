#include "worker/example/connection.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "worker/example/classifier.h"

namespace tenantd::example {
namespace {

constexpr std::size_t read_bytes = 16U << 10U;
constexpr std::size_t max_unread_bytes = 64U << 10U;  // of answers
constexpr std::uint64_t choice_timeout_ns = 5'000 * ns_per_ms;
constexpr std::uint64_t reader_timeout_ns = 30'000 * ns_per_ms;

template <class T>
void append_frame(std::vector<std::byte>& out, std::uint64_t request_id, const T& message) {
  const std::size_t start = out.size();
  out.resize(start + sizeof(FrameHeader));
  if (!encode(message, out)) return out.resize(start);  // our own messages fit
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(out.size() - start - sizeof header);
  header.type = static_cast<std::uint16_t>(T::type);
  header.request_id = request_id;
  std::memcpy(out.data() + start, &header, sizeof header);
}

template <class T>
bool is(const FrameHeader& header) noexcept {
  return header.type == static_cast<std::uint16_t>(T::type);
}

}  // namespace

Connection::Connection(UniqueFd socket, Shared& shared)
    : socket_(std::move(socket)), shared_(shared), progress_ns_(monotonic_ns()) {}

bool Connection::start() {
  Welcome welcome;
  welcome.generation = shared_.generation;
  welcome.ring_bytes = 0;       // the stream only
  welcome.max_batch_size = 1;   // no batches
  welcome.encoder = "words@1";  // with a version: text is welcome, embeddings would not be ours
  append_frame(out_, 0, welcome);
  return flush();
}

short Connection::wanted_events() const noexcept {
  const bool reads = phase_ != Phase::ending && out_.size() < max_unread_bytes;
  return static_cast<short>((reads ? POLLIN : 0) | (out_.empty() ? 0 : POLLOUT));
}

bool Connection::is_overdue(std::uint64_t now_ns) const noexcept {
  if (phase_ == Phase::choosing) return now_ns - progress_ns_ > choice_timeout_ns;
  return !out_.empty() && now_ns - progress_ns_ > reader_timeout_ns;
}

bool Connection::on_events(short events) {
  if ((events & POLLOUT) != 0 && !flush()) return false;
  if ((events & POLLIN) != 0) return receive();
  return (events & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

bool Connection::receive() {
  const std::size_t before = in_.size();
  in_.resize(before + read_bytes);
  const auto got = receive_bytes(socket_.get(), std::span(in_).subspan(before));
  in_.resize(before + (got && got->outcome == IoOutcome::done ? got->size : 0));
  if (!got || got->outcome == IoOutcome::closed) return false;
  if (take_frames()) return flush();
  ++shared_.faults;
  append_frame(out_, 0, ErrorMessage::from(fail(ErrorCode::protocol_error, "not allowed").value()));
  (void)flush();
  return false;
}

// One read holds a bounded number of requests, so that their answers are bounded, too.
bool Connection::take_frames() {
  std::size_t at = 0;
  while (phase_ != Phase::ending && in_.size() - at >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, in_.data() + at, sizeof header);
    if (header.size > max_frame_bytes || (header.flags & ~attempt_mask) != 0) return false;
    const std::size_t whole = sizeof header + header.size;
    if (in_.size() - at < whole) break;
    // A payload is decoded in place and must be aligned.
    const auto begin = in_.begin() + static_cast<std::ptrdiff_t>(at + sizeof header);
    const std::vector<std::byte> payload(begin, begin + header.size);
    if (!take(header, payload)) return false;
    at += whole;
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

bool Connection::take(const FrameHeader& header, std::span<const std::byte> payload) {
  if (phase_ == Phase::choosing) return choose(header, payload);
  const MessageRule* const rule = find_message_rule(header.type);
  if (rule == nullptr || is<ChooseTransport>(header) ||
      (rule->sender != Sender::client && rule->sender != Sender::client_to_worker)) {
    return false;
  }
  last_request_id_ = header.request_id;
  ++shared_.answered;
  if (header.deadline_ns != 0 && header.deadline_ns < monotonic_ns()) {
    answer_error(header.request_id, ErrorCode::deadline_exceeded, "too late to be run");
  } else if (is<Ping>(header)) {
    append_frame(out_, header.request_id, Pong{});
  } else if (is<RouteRequest>(header)) {
    return answer_route(header, payload);
  } else {
    answer_error(header.request_id, ErrorCode::unsupported, "this worker only classifies texts");
  }
  return true;
}

bool Connection::choose(const FrameHeader& header, std::span<const std::byte> payload) {
  if (!is<ChooseTransport>(header)) return false;
  const auto choice = decode<ChooseTransport>(payload);
  if (!choice || choice->transport != Transport::stream) return false;
  phase_ = Phase::serving;
  progress_ns_ = monotonic_ns();
  append_frame(out_, 0, RingReady{Transport::stream});
  return true;
}

bool Connection::answer_route(const FrameHeader& header, std::span<const std::byte> payload) {
  const auto request = decode<RouteRequest>(payload);
  if (!request) return false;
  if (request->text.empty()) {
    answer_error(header.request_id, ErrorCode::invalid_argument, "there is no text");
  } else {
    append_frame(out_, header.request_id, classify(*request, shared_.settings.router));
  }
  return true;
}

void Connection::answer_error(std::uint64_t request_id, ErrorCode code, const char* message) {
  ++shared_.errors;
  append_frame(out_, request_id, ErrorMessage::from(fail(code, message).value()));
}

void Connection::refuse(const Error& error) {
  append_frame(out_, 0, ErrorMessage::from(error));
  (void)flush();
}

bool Connection::drain(GoawayReason reason) {
  if (phase_ == Phase::ending) return true;
  phase_ = Phase::ending;
  append_frame(out_, 0, Goaway{reason, last_request_id_});
  return flush();
}

bool Connection::flush() {
  while (!out_.empty()) {
    const std::span<const std::byte> rest(out_);
    const auto sent = send_bytes(socket_.get(), std::span(&rest, 1));
    if (!sent || sent->outcome == IoOutcome::closed) return false;
    if (sent->outcome == IoOutcome::would_block) return true;
    if (phase_ != Phase::choosing) progress_ns_ = monotonic_ns();
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent->size));
  }
  return phase_ != Phase::ending;
}

}  // namespace tenantd::example
