// Unix sockets: creation, peer credentials, and messages with descriptors.
//
// Runs in: every process. All descriptors are CLOEXEC. Sources: unix(7), socket(7), recvmsg(2).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/error.h"
#include "shared/os/fd.h"

namespace tenantd {

enum class SocketKind { stream, seqpacket };

// A connected, non-blocking pair.
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair(SocketKind kind);

// Binds and listens, non-blocking. A stale socket file is replaced by renaming a fresh one over it,
// so that a connector never sees a gap; `mode` is exact. Errors: invalid_argument (path too long
// for sockaddr_un: 107 bytes), internal with errno.
[[nodiscard]] Result<UniqueFd> listen_unix(const std::string& path, SocketKind kind, int backlog,
                                           mode_t mode);

// Connects; a Unix connect does not block unless the backlog is full (then EAGAIN → unavailable).
// The socket is non-blocking.
[[nodiscard]] Result<UniqueFd> connect_unix(const std::string& path, SocketKind kind);

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
// SO_PEERCRED: who connected, as of connect(2).
[[nodiscard]] Result<PeerCredentials> peer_credentials(int socket);
// SO_PEERGROUPS: the supplementary groups; at most 1,024 are taken, more are an error (never a
// silently shorter list).
[[nodiscard]] Result<std::vector<gid_t>> peer_groups(int socket);

enum class IoOutcome { done, would_block, closed };

// Sends one whole SEQPACKET message with at most one descriptor; never blocks, never raises
// SIGPIPE.
[[nodiscard]] Result<IoOutcome> send_message(int socket, std::span<const std::byte> message,
                                             int descriptor = -1);

struct ReceivedMessage {
  IoOutcome outcome = IoOutcome::would_block;
  std::size_t size = 0;    // bytes written to the buffer
  bool truncated = false;  // the message was longer than the buffer
  UniqueFd descriptor;     // set only if one was sent and `accept_descriptor` was asked for
};
// Receives one message without blocking. With accept_descriptor = false no control buffer is
// offered, so that no descriptor can enter the process (facts: none leaks from an SCM_RIGHTS
// flood). With true, exactly one descriptor is kept; surplus ones are closed.
[[nodiscard]] Result<ReceivedMessage> receive_message(int socket, std::span<std::byte> buffer,
                                                      bool accept_descriptor);

inline constexpr std::size_t max_passed_descriptors = 2;

struct SentBytes {
  IoOutcome outcome = IoOutcome::would_block;
  std::size_t size = 0;  // accepted by the kernel; less than given when the socket's buffer is full
};
// Sends what a STREAM socket takes of `pieces` (at most 8), in order, without blocking or SIGPIPE.
// At most two descriptors travel with the first byte: pass them only until size > 0 came back.
[[nodiscard]] Result<SentBytes> send_bytes(int socket,
                                           std::span<const std::span<const std::byte>> pieces,
                                           std::span<const int> descriptors = {});

struct ReceivedBytes {
  IoOutcome outcome = IoOutcome::would_block;
  std::size_t size = 0;
  std::array<UniqueFd, max_passed_descriptors> descriptors;  // in the order they were sent
  std::size_t descriptor_count = 0;
  bool surplus_descriptors = false;  // more came than fit; the kernel closed them
};
// Receives from a STREAM socket without blocking. accept_descriptors as for receive_message.
[[nodiscard]] Result<ReceivedBytes> receive_bytes(int socket, std::span<std::byte> buffer,
                                                  bool accept_descriptors = false);

}  // namespace tenantd
