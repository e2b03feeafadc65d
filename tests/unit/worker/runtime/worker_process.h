// The real worker binary as a child, with a test playing its supervisor and its clients.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/contract/launch_spec.h"
#include "shared/contract/link.h"
#include "shared/os/fd.h"
#include "shared/protocol/codec.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"
#include "shared/protocol/routing_messages.h"
#include "shared/ring/client_ring.h"

namespace tenantd::test {

inline constexpr int patience_ms = 20'000;

class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

[[nodiscard]] TenantSettings test_settings();
[[nodiscard]] LaunchSpec test_spec(const TenantSettings& settings = test_settings());
// False after patience_ms.
[[nodiscard]] bool wait_readable(int fd, int timeout_ms = patience_ms);

// A supervisor's end of a link.
class LinkEnd {
 public:
  LinkEnd() = default;
  explicit LinkEnd(UniqueFd socket) : socket_(std::move(socket)) {}
  template <class T>
  void send(T message, int descriptor = -1) {
    send_raw(std::as_bytes(std::span(&message, 1)), descriptor);
  }
  // The next message of this kind; others are passed over. None on EOF or after patience_ms.
  template <class T>
  [[nodiscard]] std::optional<T> await() {
    T message;
    while (receive_raw()) {
      if (parse_link_message(std::span<const std::byte>(packet_), message)) return message;
    }
    return std::nullopt;
  }
  void close() { socket_.reset(); }

 private:
  void send_raw(std::span<const std::byte> bytes, int descriptor);
  [[nodiscard]] bool receive_raw();
  UniqueFd socket_;
  std::vector<std::byte> packet_;
};

class WorkerProcess {
 public:
  WorkerProcess(const std::string& directory, const LaunchSpec& spec,
                const std::vector<std::string>& flags = {});
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // A client's socket that the worker was handed.
  [[nodiscard]] UniqueFd attach(const std::string& tenant = "acme");
  [[nodiscard]] WorkerStatus status();
  // The exit code; -1: killed by a signal; -2: still there after patience_ms.
  [[nodiscard]] int wait_exit();
  void signal(int number) const;
  [[nodiscard]] std::size_t open_descriptors() const;
  [[nodiscard]] std::uint64_t smaps_kib(const std::string& field) const;
  [[nodiscard]] std::size_t threads() const;
  // CPU time used so far, milliseconds.
  [[nodiscard]] std::uint64_t cpu_ms() const;
  [[nodiscard]] std::string log() const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  LinkEnd link;

 private:
  std::string log_path_;
  UniqueFd pidfd_;
  pid_t pid_ = -1;
};

struct Frame {
  FrameHeader header;
  std::vector<std::byte> payload;
  [[nodiscard]] MessageType type() const { return static_cast<MessageType>(header.type); }
  template <class T>
  [[nodiscard]] T as() const {
    return decode<T>(payload).value();
  }
  // 0: not an error frame.
  [[nodiscard]] ErrorCode error() const {
    return type() == MessageType::error ? static_cast<ErrorCode>(as<ErrorMessage>().code)
                                        : ErrorCode{};
  }
};

template <class T>
[[nodiscard]] std::vector<std::byte> frame_bytes(std::uint64_t id, const T& message,
                                                 std::uint64_t deadline_ns = 0) {
  std::vector<std::byte> payload;
  if (!encode(message, payload)) std::abort();
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload.size());
  header.type = static_cast<std::uint16_t>(T::type);
  header.request_id = id;
  header.deadline_ns = deadline_ns;
  std::vector<std::byte> frame(sizeof header + payload.size());
  std::memcpy(frame.data(), &header, sizeof header);
  if (!payload.empty()) std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
  return frame;
}

// A client without manners: bytes as the test wants them, on either transport.
class RawClient {
 public:
  // Reads the welcome.
  explicit RawClient(UniqueFd socket);
  // Chooses a transport and reads ring_ready. False when the worker refused.
  [[nodiscard]] bool choose(Transport transport);

  void send_bytes(std::span<const std::byte> bytes);  // all of them, to the socket
  void send_bytes_with(std::span<const std::byte> bytes, std::span<const int> descriptors);
  // How many bytes the socket takes without blocking.
  [[nodiscard]] std::size_t send_some(std::span<const std::byte> bytes);
  template <class T>
  void send(std::uint64_t id, const T& message, std::uint64_t deadline_ns = 0) {
    const auto bytes = frame_bytes(id, message, deadline_ns);
    if (ring_) return push(bytes);
    send_bytes(bytes);
  }
  void push(std::span<const std::byte> frame);  // one whole frame into the ring
  // The next frame; none on EOF or after patience_ms.
  [[nodiscard]] std::optional<Frame> receive();
  template <class T>
  [[nodiscard]] Frame call(std::uint64_t id, const T& message, std::uint64_t deadline_ns = 0) {
    send(id, message, deadline_ns);
    return receive().value();
  }
  [[nodiscard]] bool at_eof(int timeout_ms = patience_ms);  // skips what is still unread
  void close() { socket_.reset(); }

  Welcome welcome;
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] ClientRing& ring() { return *ring_; }

 private:
  [[nodiscard]] bool read_exactly(std::span<std::byte> out, std::vector<UniqueFd>* descriptors);
  [[nodiscard]] std::optional<Frame> receive_from_socket(std::vector<UniqueFd>* descriptors);
  UniqueFd socket_;
  std::optional<ClientRing> ring_;
  FrameBuffer buffer_;
};

// Route `id` with one utterance each.
[[nodiscard]] RoutesEdit put_route(const std::string& id, const std::vector<std::string>& texts);
[[nodiscard]] RouteRequest ask(std::string_view text);

}  // namespace tenantd::test
