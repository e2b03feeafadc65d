#include "supervisor/probe/conversation.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace tenantd::probe {

tl::unexpected<Error> Conversation::lost(const char* why) {
  socket_.reset();
  return fail(ErrorCode::unavailable, why);
}

Status Conversation::open() {
  const auto welcome = receive<Welcome>();
  if (!welcome) return tl::unexpected(welcome.error());
  const auto chosen = call<RingReady>(ChooseTransport{Transport::stream});
  if (!chosen) return tl::unexpected(chosen.error());
  return {};
}

Status Conversation::send_frame(MessageType type) {
  if (!socket_) return fail(ErrorCode::unavailable, "the worker has hung up");
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload_.size());
  header.type = static_cast<std::uint16_t>(type);
  if (type != MessageType::choose_transport) header.request_id = next_request_id_++;
  const auto* const first = reinterpret_cast<const std::byte*>(&header);
  payload_.insert(payload_.begin(), first, first + sizeof header);
  std::size_t sent = 0;
  while (sent < payload_.size()) {
    const ssize_t some =
        ::send(socket_.get(), payload_.data() + sent, payload_.size() - sent, MSG_NOSIGNAL);
    if (some > 0) {
      sent += static_cast<std::size_t>(some);
    } else if (errno == EAGAIN) {
      pollfd writable{socket_.get(), POLLOUT, 0};
      if (::poll(&writable, 1, answer_timeout_ms) == 0) return lost("the worker reads nothing");
    } else if (errno != EINTR) {
      return lost("the worker has hung up");
    }
  }
  return {};
}

bool Conversation::read_exactly(void* to, std::size_t size) {
  auto* const bytes = static_cast<char*>(to);
  std::size_t got = 0;
  while (got < size) {
    pollfd readable{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&readable, 1, answer_timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t some = ::recv(socket_.get(), bytes + got, size - got, MSG_DONTWAIT);
    if (some < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (some <= 0) return false;
    got += static_cast<std::size_t>(some);
  }
  return true;
}

Result<FrameHeader> Conversation::receive_frame() {
  if (!socket_) return fail(ErrorCode::unavailable, "the worker has hung up");
  FrameHeader header;
  if (!read_exactly(&header, sizeof header)) return lost("the worker gave no answer");
  if (header.size > max_frame_bytes) return lost("the worker's answer is no frame");
  payload_.resize(header.size);
  if (!read_exactly(payload_.data(), payload_.size())) return lost("the worker gave no answer");
  const bool is_error = header.type == static_cast<std::uint16_t>(MessageType::error);
  const bool leaks = holds_secret();
  ++answers_;
  errors_ += is_error ? 1 : 0;
  leaking_answers_ += leaks && !is_error ? 1 : 0;
  leaking_errors_ += leaks && is_error ? 1 : 0;
  return header;
}

Error Conversation::error_of(const FrameHeader& header) {
  if (header.type == static_cast<std::uint16_t>(MessageType::error)) {
    const auto message = decode<ErrorMessage>(payload_);
    if (message) return message->to_error();
  }
  const bool goes = header.type == static_cast<std::uint16_t>(MessageType::goaway);
  return lost(goes ? "the worker goes away" : "the worker's answer is none").value();
}

bool Conversation::holds_secret() const {
  const std::string_view bytes(reinterpret_cast<const char*>(payload_.data()), payload_.size());
  return std::any_of(secrets_.begin(), secrets_.end(), [bytes](const std::string& secret) {
    return bytes.find(secret) != std::string_view::npos;
  });
}

}  // namespace tenantd::probe
