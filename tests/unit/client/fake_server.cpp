#include "tests/unit/client/fake_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

#include "shared/os/socket.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd::test {
namespace {

constexpr int patience_ms = 5000;

bool wait_readable(int fd, int timeout_ms) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, timeout_ms) > 0;
}

}  // namespace

bool ServedAttachment::read_exactly(std::span<std::byte> out, std::vector<UniqueFd>* descriptors) {
  while (!out.empty()) {
    if (!wait_readable(socket_.get(), patience_ms)) return false;
    auto received = receive_bytes(socket_.get(), out, descriptors != nullptr);
    if (!received || received->outcome == IoOutcome::closed) return false;
    for (std::size_t i = 0; i < received->descriptor_count; ++i) {
      descriptors->push_back(std::move(received->descriptors[i]));
    }
    out = out.subspan(received->size);
  }
  return true;
}

bool ServedAttachment::send_all(std::span<const std::byte> bytes,
                                std::span<const int> descriptors) {
  while (!bytes.empty()) {
    const auto sent = send_bytes(socket_.get(), std::span(&bytes, 1), descriptors);
    if (!sent || sent->outcome == IoOutcome::closed) return false;
    if (sent->size > 0) descriptors = {};
    bytes = bytes.subspan(sent->size);
    if (sent->outcome != IoOutcome::would_block) continue;
    pollfd item{socket_.get(), POLLOUT, 0};
    if (::poll(&item, 1, patience_ms) <= 0) return false;
  }
  return true;
}

bool ServedAttachment::read_hello(Hello& hello) {
  return read_exactly(std::as_writable_bytes(std::span(&hello, 1)), nullptr);
}

bool ServedAttachment::welcome(std::uint32_t ring_bytes) {
  Hello hello;
  if (!read_hello(hello)) return false;
  Welcome message;
  message.generation = 7;
  message.dimension = 4;
  message.ring_bytes = ring_bytes;
  message.encoder = "hash";
  answer(0, message);
  if (hello.target == HelloTarget::control) return true;
  FrameHeader header;
  std::vector<UniqueFd> descriptors;
  if (!read_exactly(std::as_writable_bytes(std::span(&header, 1)), &descriptors)) return false;
  std::vector<std::byte> payload(header.size);
  if (!read_exactly(payload, &descriptors)) return false;
  const auto choice = decode<ChooseTransport>(payload);
  if (!choice) return false;
  RingReady ready;
  ready.transport = choice->transport;
  if (choice->transport == Transport::stream) {
    answer(0, ready);
    return true;
  }
  if (descriptors.size() != 1) return false;
  auto ring = WorkerRing::accept(std::move(descriptors[0]), ring_bytes);
  auto doorbells = DoorbellSet::create();
  if (!ring || !doorbells || !doorbells->add(ring->doorbell_fd(), 1)) return false;
  std::vector<std::byte> bytes(sizeof header);
  if (!encode(ready, bytes)) return false;
  header = FrameHeader{};
  header.type = static_cast<std::uint16_t>(MessageType::ring_ready);
  header.size = static_cast<std::uint32_t>(bytes.size() - sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  const std::array<int, 2> passed = {ring->memory_fd(), ring->doorbell_fd()};
  if (!send_all(bytes, passed)) return false;
  ring->close_memory_fd();
  ring_.emplace(std::move(*ring));
  doorbells_.emplace(std::move(*doorbells));
  return true;
}

std::optional<ServedAttachment::Request> ServedAttachment::next(const std::atomic<bool>& stop) {
  Request request;
  while (!stop) {
    if (!ring_) {
      if (!wait_readable(socket_.get(), 5)) continue;
      if (!read_exactly(std::as_writable_bytes(std::span(&request.header, 1)), nullptr)) break;
      request.payload.resize(request.header.size);
      if (!read_exactly(request.payload, nullptr)) break;
      return request;
    }
    ring_->wake_up();
    const auto frame = ring_->pop(buffer_);
    if (!frame) break;
    if (frame->has_value()) {
      request.header = (*frame)->header;
      request.payload.assign((*frame)->payload.begin(), (*frame)->payload.end());
      return request;
    }
    if (ring_->prepare_sleep(false) == SleepDecision::work) continue;
    std::array<pollfd, 2> items = {pollfd{doorbells_->fd(), POLLIN, 0},
                                   pollfd{socket_.get(), POLLIN, 0}};
    (void)::poll(items.data(), items.size(), 5);
    std::array<std::uint64_t, 4> tokens{};
    (void)doorbells_->take(tokens);
    if (items[1].revents != 0) break;  // its end: a ring's client writes nothing on the socket
  }
  return std::nullopt;
}

void ServedAttachment::send(std::uint16_t type, std::uint64_t request_id,
                            std::span<const std::byte> payload) {
  FrameHeader header;
  header.type = type;
  header.request_id = request_id;
  header.size = static_cast<std::uint32_t>(payload.size());
  if (ring_) {
    (void)ring_->try_push(header, payload);
    ring_->publish();
    return;
  }
  std::vector<std::byte> bytes(sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  (void)send_all(bytes, {});
}

bool ServedAttachment::is_open() const {
  std::byte byte{};
  return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
}

void ServedAttachment::send_raw(std::span<const std::byte> bytes) { (void)send_all(bytes, {}); }

void ServedAttachment::serve(const Request& request) {
  const std::uint64_t id = request.header.request_id;
  switch (static_cast<MessageType>(request.header.type)) {
    case MessageType::ping:
      return answer(id, Pong{});
    case MessageType::route: {
      RouteReply reply;
      if (const auto decoded = decode<RouteRequest>(request.payload)) {
        reply.best.route = "echo:" + std::string(decoded->text.substr(0, 64));
      }
      return answer(id, reply);
    }
    case MessageType::route_batch: {
      RouteBatchReply reply;
      if (const auto decoded = decode<RouteBatch>(request.payload)) {
        for (const RouteRequest& item : decoded->items) {
          RouteBatchItem& answered = reply.items.emplace_back();
          answered.answered = !item.text.empty();
          if (answered.answered) {
            answered.reply.best.route = "echo:" + std::string(item.text.substr(0, 64));
          } else {
            Error error;
            error.code = ErrorCode::invalid_argument;
            error.field = "text";
            answered.error = ErrorMessage::from(error);
          }
        }
        if (decoded->items.size() == 7) reply.items.pop_back();  // a worker that cannot count
      }
      return answer(id, reply);
    }
    case MessageType::routes_edit: {
      RoutesEdited edited;
      edited.routes = id;
      return answer(id, edited);
    }
    default: {
      Error error;
      error.code = ErrorCode::unsupported;
      error.message = "the fake server does not serve this";
      return answer(id, ErrorMessage::from(error));
    }
  }
}

FakeServer::FakeServer(Script script) {
  char directory[] = "/tmp/tenantd-client-test.XXXXXX";
  if (::mkdtemp(directory) == nullptr) std::abort();
  directory_ = directory;
  path_ = directory_ + "/sock";
  auto listener = listen_unix(path_, SocketKind::stream, 16, 0600);
  if (!listener) std::abort();
  listener_ = std::move(*listener);
  thread_ = std::thread([this, script = std::move(script)] { run(script); });
}

FakeServer::~FakeServer() {
  stop_ = true;
  thread_.join();
  (void)::unlink(path_.c_str());
  (void)::rmdir(directory_.c_str());
}

void FakeServer::run(const Script& script) {
  while (!stop_) {
    if (!wait_readable(listener_.get(), 5)) continue;
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) continue;
    ServedAttachment attachment(std::move(socket));
    script(attachment, accepted_++, stop_);
  }
}

void serve_well(ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
  if (!attachment.welcome()) return;
  while (const auto request = attachment.next(stop)) attachment.serve(*request);
}

}  // namespace tenantd::test
