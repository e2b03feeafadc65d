// network_worker: a platinum tenant's own program, for tests. It does on the network what it is
// asked through two named pipes of its data directory: a line in, a line out.
//
//   tcp ADDRESS PORT    connects, sends a line, waits for the answer
//   udp ADDRESS PORT    sends a datagram, waits for the answer
//   socket FAMILY TYPE PROTOCOL
//   bind ADDRESS PORT
//
// The answer is "ok" or the errno that stopped it. A supervisor's death is survived as the contract
// has it: register again.
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <sstream>
#include <string>

#include "shared/contract/launch_spec.h"
#include "shared/contract/link.h"
#include "shared/os/fd.h"
#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"

namespace tenantd {
namespace {

constexpr int answer_timeout_ms = 1500;

struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Place place_of(const std::string& address, std::uint16_t port) {
  Place place;
  auto* const four = reinterpret_cast<sockaddr_in*>(&place.address);
  auto* const six = reinterpret_cast<sockaddr_in6*>(&place.address);
  if (::inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    place.size = sizeof *four;
  } else if (::inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    place.size = sizeof *six;
  }
  return place;
}

// 0 or an errno.
int wait_for(int socket, short events) {
  pollfd wait{socket, events, 0};
  const int ready = ::poll(&wait, 1, answer_timeout_ms);
  return ready > 0 ? 0 : ready == 0 ? ETIMEDOUT : errno;
}

int converse(int socket) {
  char answer[64];
  if (::send(socket, "hello\n", 6, MSG_NOSIGNAL) != 6) return errno;
  if (const int failed = wait_for(socket, POLLIN)) return failed;
  const ssize_t got = ::recv(socket, answer, sizeof answer, 0);
  return got > 0 ? 0 : got == 0 ? EPIPE : errno;
}

int attempt(int type, const Place& place) {
  const UniqueFd socket(::socket(place.address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  const auto* const to = reinterpret_cast<const sockaddr*>(&place.address);
  if (::connect(socket.get(), to, place.size) != 0) {
    if (errno != EINPROGRESS) return errno;
    if (const int failed = wait_for(socket.get(), POLLOUT)) return failed;
    int error = 0;
    socklen_t size = sizeof error;
    (void)::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return error;
  }
  return converse(socket.get());
}

int run(std::istringstream& words) {
  std::string what;
  words >> what;
  if (what == "socket") {
    int family = 0;
    int type = 0;
    int protocol = 0;
    words >> family >> type >> protocol;
    const UniqueFd socket(::socket(family, type, protocol));
    return socket ? 0 : errno;
  }
  std::string address;
  std::uint16_t port = 0;
  words >> address >> port;
  const Place place = place_of(address, port);
  if (what == "tcp") return attempt(SOCK_STREAM, place);
  if (what == "udp") return attempt(SOCK_DGRAM, place);
  if (what != "bind") return ENOSYS;
  const UniqueFd socket(::socket(place.address.ss_family, SOCK_STREAM, 0));
  const auto* const at = reinterpret_cast<const sockaddr*>(&place.address);
  return ::bind(socket.get(), at, place.size) == 0 ? 0 : errno;
}

template <class T>
bool say(int link, const T& message) {
  const auto sent = send_message(link, std::as_bytes(std::span(&message, 1)));
  return sent && *sent == IoOutcome::done;
}

UniqueFd register_again(const LaunchSpec& spec) {
  auto hello = make_link_message<WorkerHello>(spec.generation);
  (void)hello.tenant_id.assign(spec.tenant.tenant_id.view());
  for (;;) {
    auto socket = connect_unix(std::string(link_socket_path), SocketKind::seqpacket);
    if (socket && say(socket->get(), hello)) return std::move(*socket);
    const timespec pause{0, 20'000'000};
    (void)::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  }
}

// False: the supervisor wants the end.
bool hear(int link, bool& gone) {
  std::array<std::byte, 8192> packet{};
  const ssize_t got = ::recv(link, packet.data(), packet.size(), MSG_DONTWAIT);
  gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  LinkHeader header;
  if (got < static_cast<ssize_t>(sizeof header)) return true;
  std::memcpy(static_cast<void*>(&header), packet.data(), sizeof header);
  return header.kind != LinkKind::drain;
}

int serve(const LaunchSpec& spec) {
  UniqueFd link(link_fd);
  const UniqueFd ask(::open("/data/ask", O_RDWR | O_CLOEXEC));
  const UniqueFd answer(::open("/data/answer", O_RDWR | O_CLOEXEC));
  if (!say(link.get(), make_link_message<Ready>(spec.generation))) return 1;
  std::string line;
  for (;;) {
    pollfd waits[2] = {{link.get(), POLLIN, 0}, {ask.get(), POLLIN, 0}};
    if (::poll(waits, ask ? 2 : 1, -1) < 0 && errno != EINTR) return 1;
    bool gone = false;
    if (waits[0].revents != 0 && !hear(link.get(), gone)) return 0;
    if (gone) link = register_again(spec);
    if (waits[1].revents == 0) continue;
    char byte = 0;
    if (::read(ask.get(), &byte, 1) != 1) return 1;
    line += byte;
    if (byte != '\n') continue;
    std::istringstream words(line);
    const int failed = run(words);
    const std::string text = failed == 0 ? "ok\n" : std::to_string(failed) + '\n';
    if (::write(answer.get(), text.data(), text.size()) < 0) return 1;
    line.clear();
  }
}

}  // namespace
}  // namespace tenantd

int main() {
  using namespace tenantd;
  (void)std::signal(SIGPIPE, SIG_IGN);
  LaunchSpec spec;
  if (!read_sealed_record(launch_spec_fd, spec)) return 64;
  return serve(spec);
}
