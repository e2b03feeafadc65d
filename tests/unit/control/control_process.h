// The real tenantd-control as a child, with the test as its supervisor and as operators.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shared/contract/control_link.h"
#include "shared/contract/launch_spec.h"
#include "shared/os/fd.h"
#include "shared/protocol/admin_messages.h"
#include "shared/protocol/frame.h"

namespace tenantd::test {

inline constexpr int patience_ms = 20'000;

struct Frame {
  FrameHeader header;
  std::vector<std::byte> payload;
};

// An operator's end of an attachment.
class Operator {
 public:
  explicit Operator(UniqueFd socket) : socket_(std::move(socket)) {}

  void send_bytes(std::span<const std::byte> bytes) const;
  void send_header(std::uint32_t size, std::uint16_t type, std::uint64_t request_id,
                   std::uint16_t flags = 0, std::uint64_t deadline_ns = 0) const;
  template <class T>
  void request(const T& message, std::uint64_t request_id, std::uint64_t deadline_ns = 0) const {
    std::vector<std::byte> payload;
    if (!encode(message, payload)) std::abort();
    send_header(static_cast<std::uint32_t>(payload.size()), static_cast<std::uint16_t>(T::type),
                request_id, 0, deadline_ns);
    send_bytes(payload);
  }
  // The next frame; empty at the end of the connection. Fails the test when nothing comes.
  [[nodiscard]] std::optional<Frame> receive() const;
  // The next frame, which must be a T.
  template <class T>
  [[nodiscard]] T expect(std::uint64_t request_id) const {
    const auto frame = receive();
    if (!frame || frame->header.type != static_cast<std::uint16_t>(T::type) ||
        frame->header.request_id != request_id) {
      throw std::runtime_error("another frame than expected: type " +
                               std::to_string(frame ? frame->header.type : 0));
    }
    return decode<T>(frame->payload).value();
  }
  [[nodiscard]] bool at_end() const { return !receive().has_value(); }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  UniqueFd socket_;
};

class ControlProcess {
 public:
  explicit ControlProcess(std::string data_directory, std::vector<std::string> options = {},
                          bool await_ready = true, LaunchSpec spec = control_spec());
  ~ControlProcess();
  ControlProcess(const ControlProcess&) = delete;
  ControlProcess& operator=(const ControlProcess&) = delete;

  [[nodiscard]] static LaunchSpec control_spec();

  template <class T>
  void send(const T& message, int descriptor = -1) {
    send_packet(std::as_bytes(std::span(&message, 1)), descriptor);
  }
  void send_packet(std::span<const std::byte> packet, int descriptor = -1);
  // The next link message, which must be a T.
  template <class T>
  [[nodiscard]] T expect() {
    T message;
    if (!parse_link_message(receive_packet(), message)) {
      throw std::runtime_error("another link message than expected");
    }
    return message;
  }
  // A connection without reading its welcome.
  [[nodiscard]] Operator attach_raw(std::uint32_t uid = 0, std::uint32_t is_operator = 1);
  [[nodiscard]] Operator attach();  // welcomed
  // Returns when control has taken everything that was sent on the link.
  void settle() { (void)attach(); }
  void send_event(EventType type, std::string_view tenant, std::string_view detail);
  void send_log(std::string_view tenant, std::string_view text);
  void finish(const Command& command, ErrorCode error = ErrorCode{}, std::string_view message = {},
              bool more = false);
  void close_link() { link_.reset(); }
  void kill_now();
  void terminate() const;
  [[nodiscard]] int wait_exit();  // exit status; -signal
  [[nodiscard]] bool alive();

 private:
  [[nodiscard]] std::vector<std::byte> receive_packet();
  UniqueFd link_;
  pid_t pid_ = -1;
};

// A fresh directory, removed with its contents at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace tenantd::test
