// Any process that can reach the socket for workers, against the supervisor's registration: packets
// before a worker is known.
//
// The input is rows: a byte that says who speaks (its low bits: which of four connections, a new
// one, an end of its writing, an end), a little-endian u16 length, so many bytes of a packet.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "supervisor/process/registration.h"

namespace {

using namespace tenantd;

struct World {
  World() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenantd-fuzz-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    directory = pattern;
  }
  ~World() {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  std::string directory;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const World world;
  const std::string path = world.directory + "/s";
  Loop loop;
  int taken = 0;
  auto registration = Registration::create(
      loop, listen_unix(path, SocketKind::seqpacket, 16, 0600).value(),
      [](const PeerCredentials& peer) {
        if (peer.pid != ::getpid() || peer.uid != ::geteuid()) std::abort();
        return true;
      },
      [&taken](const PeerCredentials& peer, const WorkerHello& hello, UniqueFd& socket) {
        if (peer.pid != ::getpid() || !hello.tenant_id.valid()) std::abort();
        if (hello.header.kind != LinkKind::worker_hello || !socket) std::abort();
        if (hello.header.generation != 1) return false;
        ++taken;
        socket.reset();
        return true;
      },
      [](int) {});
  if (!registration) std::abort();
  std::array<UniqueFd, 4> peers;
  int connections = 0;
  while (size >= 3) {
    UniqueFd& peer = peers[data[0] & 3U];
    const std::uint8_t action = data[0] >> 2U & 7U;
    std::uint16_t length = 0;
    std::memcpy(&length, data + 1, sizeof length);
    data += 3;
    size -= 3;
    if (!peer || action == 1) {
      auto fresh = connect_unix(path, SocketKind::seqpacket);
      if (!fresh) break;
      peer = std::move(*fresh);
      ++connections;
    }
    const std::size_t sent = std::min<std::size_t>(length, size);
    (void)::send(peer.get(), data, sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (action == 2) (void)::shutdown(peer.get(), SHUT_WR);
    if (action == 3) peer.reset();
    data += sent;
    size -= sent;
    loop.run_once();
  }
  if (taken > connections || (*registration)->refused() > static_cast<std::uint64_t>(connections)) {
    std::abort();
  }
  return 0;
}
