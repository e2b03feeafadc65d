// A server in a thread: the worker's (or control's) side of the protocol, well-behaved or not.
//
// Each test gives it a script: what to do with each attachment, in order. The bytes, sockets,
// memfds and rings are the real ones.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "shared/os/fd.h"
#include "shared/protocol/hello.h"
#include "shared/protocol/messages.h"
#include "shared/ring/worker_ring.h"

namespace tenantd::test {

// One accepted socket. Every method gives up after a few seconds and then acts as if the client had
// gone.
class ServedAttachment {
 public:
  explicit ServedAttachment(UniqueFd socket) : socket_(std::move(socket)) {}

  [[nodiscard]] bool read_hello(Hello& hello);
  // hello, welcome, transport; false if the client went away.
  [[nodiscard]] bool welcome(std::uint32_t ring_bytes = ring_bytes_default);
  [[nodiscard]] bool is_ring() const { return ring_.has_value(); }

  struct Request {
    FrameHeader header;
    std::vector<std::byte> payload;
  };
  // The next request, or none when the client has gone or stop was asked for.
  [[nodiscard]] std::optional<Request> next(const std::atomic<bool>& stop);

  template <class T>
  void answer(std::uint64_t request_id, const T& message) {
    std::vector<std::byte> payload;
    if (!encode(message, payload)) return;
    send(static_cast<std::uint16_t>(T::type), request_id, payload);
  }
  void send(std::uint16_t type, std::uint64_t request_id, std::span<const std::byte> payload);
  // Bytes on the socket that are no frame.
  void send_raw(std::span<const std::byte> bytes);
  // The usual answer to ping, route, routes_edit.
  void serve(const Request& request);
  void close() { socket_.reset(); }
  // Whether the client is still there.
  [[nodiscard]] bool is_open() const;
  [[nodiscard]] int doorbell_fd() const { return ring_->doorbell_fd(); }

 private:
  [[nodiscard]] bool read_exactly(std::span<std::byte> out, std::vector<UniqueFd>* descriptors);
  [[nodiscard]] bool send_all(std::span<const std::byte> bytes, std::span<const int> descriptors);

  UniqueFd socket_;
  std::optional<WorkerRing> ring_;
  std::optional<DoorbellSet> doorbells_;
  FrameBuffer buffer_;
};

class FakeServer {
 public:
  using Script = std::function<void(ServedAttachment&, int number, const std::atomic<bool>& stop)>;

  // Listens in a fresh directory; runs `script` for each attachment (number 0, 1, …).
  explicit FakeServer(Script script);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int accepted() const { return accepted_; }

 private:
  void run(const Script& script);

  std::string directory_;
  std::string path_;
  UniqueFd listener_;
  std::atomic<bool> stop_{false};
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

// welcome, then serve until the client goes.
void serve_well(ServedAttachment& attachment, int number, const std::atomic<bool>& stop);

}  // namespace tenantd::test
