#include "shared/os/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tenantd {
namespace {

int socket_type(SocketKind kind) noexcept {
  const int type = kind == SocketKind::stream ? SOCK_STREAM : SOCK_SEQPACKET;
  return type | SOCK_CLOEXEC | SOCK_NONBLOCK;
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument,
                "socket path '" + path + "' is empty or longer than 107 bytes",
                "choose a shorter run directory");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address);
}

struct Received {
  IoOutcome outcome = IoOutcome::would_block;
  std::size_t size = 0;
  int flags = 0;  // MSG_TRUNC, MSG_CTRUNC
};

// One recvmsg(2). Without room in `control` no descriptor enters this process. Each one that came
// is given to `take`.
template <class Take>
Result<Received> receive_once(int socket, std::span<std::byte> buffer, std::span<std::byte> control,
                              Take take) {
  iovec vector{buffer.data(), buffer.size()};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control.empty() ? nullptr : control.data();
  header.msg_controllen = control.size();
  ssize_t received = -1;
  do {
    received = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Received{};
    if (errno == ECONNRESET) return Received{IoOutcome::closed, 0, 0};
    return fail_errno("recvmsg", errno);
  }
  for (cmsghdr* item = control.empty() ? nullptr : CMSG_FIRSTHDR(&header); item != nullptr;
       item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(item) + i * sizeof(int), sizeof descriptor);
      take(UniqueFd(descriptor));
    }
  }
  return Received{IoOutcome::done, static_cast<std::size_t>(received), header.msg_flags};
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair(SocketKind kind) {
  int fds[2];
  if (::socketpair(AF_UNIX, socket_type(kind), 0, fds) != 0) return fail_errno("socketpair", errno);
  return std::pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<UniqueFd> listen_unix(const std::string& path, SocketKind kind, int backlog, mode_t mode) {
  const std::string fresh = path + ".new";
  const auto address = unix_address(fresh);
  if (!address) return tl::unexpected(address.error());
  UniqueFd listener(::socket(AF_UNIX, socket_type(kind), 0));
  if (!listener) return fail_errno("socket", errno);
  (void)::unlink(fresh.c_str());
  if (::bind(listener.get(), as_sockaddr(*address), sizeof *address) != 0) {
    return fail_errno("bind " + fresh, errno);
  }
  if (::chmod(fresh.c_str(), mode) != 0) return fail_errno("chmod " + fresh, errno);
  if (::listen(listener.get(), backlog) != 0) return fail_errno("listen " + fresh, errno);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno("rename " + fresh, errno);
  return listener;
}

Result<UniqueFd> connect_unix(const std::string& path, SocketKind kind) {
  const auto address = unix_address(path);
  if (!address) return tl::unexpected(address.error());
  UniqueFd connection(::socket(AF_UNIX, socket_type(kind), 0));
  if (!connection) return fail_errno("socket", errno);
  if (::connect(connection.get(), as_sockaddr(*address), sizeof *address) != 0) {
    const int saved_errno = errno;
    auto error = fail_errno("connect " + path, saved_errno);
    if (saved_errno == EAGAIN || saved_errno == ECONNREFUSED || saved_errno == ENOENT) {
      error.value().code = ErrorCode::unavailable;
    }
    if (saved_errno == EACCES) error.value().code = ErrorCode::permission_denied;
    return error;
  }
  return connection;
}

Result<PeerCredentials> peer_credentials(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return fail_errno("getsockopt SO_PEERCRED", errno);
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Result<std::vector<gid_t>> peer_groups(int socket) {
  static constexpr std::size_t max_groups = 1024;
  std::vector<gid_t> groups(64);
  for (;;) {
    auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) == 0) {
      groups.resize(length / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE || groups.size() >= max_groups) {
      return fail_errno("getsockopt SO_PEERGROUPS", errno);
    }
    groups.resize(max_groups);
  }
}

Result<IoOutcome> send_message(int socket, std::span<const std::byte> message, int descriptor) {
  iovec vector{const_cast<std::byte*>(message.data()), message.size()};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int))]{};
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return IoOutcome::done;
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return IoOutcome::would_block;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return IoOutcome::closed;
    return fail_errno("sendmsg", errno);
  }
}

Result<ReceivedMessage> receive_message(int socket, std::span<std::byte> buffer,
                                        bool accept_descriptor) {
  // Room for exactly one descriptor: the kernel closes what does not fit (MSG_CTRUNC). The
  // alignment padding of CMSG_SPACE leaves room for a second int: whatever came is taken, and
  // closed.
  alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int))]{};
  ReceivedMessage message;
  const auto received =
      receive_once(socket, buffer, std::span(control).first(accept_descriptor ? sizeof control : 0),
                   [&message](UniqueFd descriptor) {
                     if (!message.descriptor) message.descriptor = std::move(descriptor);
                   });
  if (!received) return tl::unexpected(received.error());
  message.outcome = received->outcome;
  if (received->outcome != IoOutcome::done) return message;
  if (received->size == 0) message.outcome = IoOutcome::closed;
  message.size = received->size;
  message.truncated = (received->flags & MSG_TRUNC) != 0;
  return message;
}

Result<SentBytes> send_bytes(int socket, std::span<const std::span<const std::byte>> pieces,
                             std::span<const int> descriptors) {
  static constexpr std::size_t max_pieces = 8;
  if (pieces.size() > max_pieces || descriptors.size() > max_passed_descriptors) {
    return fail(ErrorCode::invalid_argument, "too many pieces or descriptors for one message");
  }
  std::array<iovec, max_pieces> vectors{};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    vectors[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  }
  msghdr header{};
  header.msg_iov = vectors.data();
  header.msg_iovlen = pieces.size();
  alignas(cmsghdr) std::byte control[CMSG_SPACE(max_passed_descriptors * sizeof(int))]{};
  if (!descriptors.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    const ssize_t sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return SentBytes{IoOutcome::done, static_cast<std::size_t>(sent)};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SentBytes{};
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
      return SentBytes{IoOutcome::closed, 0};
    }
    return fail_errno("sendmsg", errno);
  }
}

Result<ReceivedBytes> receive_bytes(int socket, std::span<std::byte> buffer,
                                    bool accept_descriptors) {
  alignas(cmsghdr) std::byte control[CMSG_SPACE(max_passed_descriptors * sizeof(int))]{};
  ReceivedBytes bytes;
  const auto received = receive_once(
      socket, buffer, std::span(control).first(accept_descriptors ? sizeof control : 0),
      [&bytes](UniqueFd descriptor) {
        if (bytes.descriptor_count < bytes.descriptors.size()) {
          bytes.descriptors[bytes.descriptor_count++] = std::move(descriptor);
        } else {
          bytes.surplus_descriptors = true;
        }
      });
  if (!received) return tl::unexpected(received.error());
  bytes.outcome = received->outcome;
  if (received->outcome != IoOutcome::done) return bytes;
  if (accept_descriptors && (received->flags & MSG_CTRUNC) != 0) bytes.surplus_descriptors = true;
  if (received->size == 0 && !buffer.empty()) bytes.outcome = IoOutcome::closed;
  bytes.size = received->size;
  return bytes;
}

}  // namespace tenantd
