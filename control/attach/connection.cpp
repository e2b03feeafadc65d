#include "control/attach/connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "control/admin/dispatch.h"
#include "shared/base/clock.h"

namespace tenantd {
namespace {

constexpr std::size_t input_capacity = sizeof(FrameHeader) + Connection::max_request_bytes;

Status check_header(const FrameHeader& header) {
  if (header.size > Connection::max_request_bytes) {
    return fail(ErrorCode::protocol_error, "the frame is longer than a request to control may be");
  }
  if ((header.flags & ~attempt_mask) != 0) {
    return fail(ErrorCode::protocol_error, "unknown frame flags");
  }
  if (header.request_id == 0) return fail(ErrorCode::protocol_error, "a request without an id");
  return {};
}

}  // namespace

Connection::Connection(Loop& loop, UniqueFd socket, ConnectionLimits limits, OnRequest on_request,
                       OnClosed on_closed)
    : socket_(std::move(socket)),
      limits_(limits),
      on_request_(std::move(on_request)),
      on_closed_(std::move(on_closed)),
      input_(input_capacity),
      alive_(std::make_shared<bool>(true)),
      frame_timer_(loop),
      write_timer_(loop),
      resume_timer_(loop) {}

Connection::~Connection() {
  *alive_ = false;
  poll_.close();
}

Result<std::unique_ptr<Connection>> Connection::create(Loop& loop, UniqueFd socket,
                                                       ConnectionLimits limits,
                                                       OnRequest on_request, OnClosed on_closed) {
  std::unique_ptr<Connection> connection(
      new Connection(loop, std::move(socket), limits, std::move(on_request), std::move(on_closed)));
  auto* const self = connection.get();
  const Status started = self->poll_.start(loop, self->socket_.get(), UV_READABLE,
                                           [self](int events) { self->on_ready(events); });
  if (!started) return tl::unexpected(started.error());
  return connection;
}

void Connection::send(MessageType type, std::uint64_t request_id,
                      std::span<const std::byte> payload) {
  if (!socket_) return;
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload.size());
  header.type = static_cast<std::uint16_t>(type);
  header.request_id = request_id;
  std::vector<std::byte>& frame = output_.emplace_back(sizeof header + payload.size());
  std::memcpy(frame.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
  output_bytes_ += frame.size();
  flush();
}

void Connection::answer(MessageType type, std::uint64_t request_id,
                        std::span<const std::byte> payload) {
  --in_flight_;
  send(type, request_id, payload);
  update();
}

bool Connection::paused() const noexcept {
  return in_flight_ >= max_in_flight || output_bytes_ > max_queued_bytes;
}

void Connection::on_ready(int events) {
  const std::shared_ptr<bool> alive = alive_;
  if ((events & UV_WRITABLE) != 0) {
    flush();
    update();
  }
  if (!*alive || !socket_) return;
  // A poll error arrives as UV_DISCONNECT: reading then says what it was.
  if ((events & (UV_READABLE | UV_DISCONNECT)) != 0 && !paused()) receive();
}

void Connection::receive() {
  const ssize_t received =
      ::recv(socket_.get(), input_.data() + input_used_, input_.size() - input_used_, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (received <= 0) return close();
  input_used_ += static_cast<std::size_t>(received);
  take_frames();
}

void Connection::take_frames() {
  if (taking_) return;
  const std::shared_ptr<bool> alive = alive_;
  taking_ = true;
  std::size_t taken = 0;
  bool partial = false;
  while (!paused() && input_used_ - taken > 0) {
    const std::size_t rest = input_used_ - taken;
    FrameHeader header;
    partial = rest < sizeof header;
    if (partial) break;
    std::memcpy(&header, input_.data() + taken, sizeof header);
    if (const Status valid = check_header(header); !valid) {
      return refuse(header.request_id, valid.error());
    }
    partial = rest < sizeof header + header.size;
    if (partial) break;
    // The codec wants its payload aligned: a copy, as everything that a peer wrote.
    const std::byte* const from = input_.data() + taken + sizeof header;
    const std::vector<std::byte> payload(from, from + header.size);
    if (!take_frame(header, payload) || !*alive) return;
    taken += sizeof header + header.size;
  }
  taking_ = false;
  std::memmove(input_.data(), input_.data() + taken, input_used_ - taken);
  input_used_ -= taken;
  if (taken > 0 || !partial) frame_timer_.stop();
  if (partial && !frame_timer_.active()) {
    frame_timer_.start(limits_.frame_timeout_ms, [this] {
      refuse(0, fail(ErrorCode::deadline_exceeded, "a frame was not finished in time").value());
    });
  }
  update();
}

bool Connection::take_frame(const FrameHeader& header, std::span<const std::byte> payload) {
  const std::shared_ptr<bool> alive = alive_;
  last_request_id_ = header.request_id;
  ++in_flight_;
  if (header.deadline_ns != 0 && header.deadline_ns < monotonic_ns()) {
    const auto late = fail(ErrorCode::deadline_exceeded, "the request came after its deadline");
    answer(MessageType::error, header.request_id, encode_error(late.value()));
    return *alive && socket_;
  }
  const Status taken = on_request_(header, payload);
  if (!*alive) return false;
  if (!taken) {
    refuse(header.request_id, taken.error());
    return false;
  }
  return static_cast<bool>(socket_);
}

void Connection::refuse(std::uint64_t request_id, const Error& error) {
  const std::shared_ptr<bool> alive = alive_;
  send(MessageType::error, request_id, encode_error(error));
  if (*alive && socket_) close();
}

void Connection::flush() {
  bool progress = false;
  while (!output_.empty()) {
    const std::vector<std::byte>& front = output_.front();
    const ssize_t sent = ::send(socket_.get(), front.data() + output_offset_,
                                front.size() - output_offset_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      // Gone: nothing more can be said; reading reports the end.
      if (errno != EAGAIN) {
        output_.clear();
        output_bytes_ = 0;
        output_offset_ = 0;
      }
      break;
    }
    progress = true;
    output_offset_ += static_cast<std::size_t>(sent);
    output_bytes_ -= static_cast<std::size_t>(sent);
    if (output_offset_ < front.size()) continue;
    output_.pop_front();
    output_offset_ = 0;
  }
  if (progress || output_.empty()) write_timer_.stop();
  if (!output_.empty() && !write_timer_.active()) {
    write_timer_.start(limits_.write_timeout_ms, [this] { close(); });
  }
}

void Connection::update() {
  if (!socket_) return;
  poll_.change((paused() ? 0 : UV_READABLE) | (output_.empty() ? 0 : UV_WRITABLE));
  // Frames that arrived while paused are in the buffer: no readiness will tell of them. Taken from
  // the loop, not from inside an answer, so that a burst of requests does not nest.
  if (!paused() && !taking_ && input_used_ > 0 && !frame_timer_.active() &&
      !resume_timer_.active()) {
    resume_timer_.start(0, [this] { take_frames(); });
  }
}

void Connection::close() {
  if (!socket_) return;
  poll_.close();
  frame_timer_.stop();
  write_timer_.stop();
  resume_timer_.stop();
  socket_.reset();
  const OnClosed on_closed = std::exchange(on_closed_, nullptr);
  if (on_closed) on_closed();
}

}  // namespace tenantd
