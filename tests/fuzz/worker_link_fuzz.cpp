// The other direction of the link: what a worker makes of packets, with and without descriptors.
//
// The supervisor is trusted; yet a newer or broken one must not take a worker down. The input is a
// row of packets: a little-endian u16 length whose top bit says that a descriptor comes along, then
// so many bytes.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "shared/os/socket.h"
#include "worker/runtime/supervisor_link.h"

namespace {

using namespace tenantd;

void require(bool holds) {
  if (!holds) std::abort();
}

LinkEvents events(int& lost) {
  LinkEvents out;
  out.on_attach = [](const Attach& attach, UniqueFd) {
    require(attach.header.kind == LinkKind::attach && attach.header.size == sizeof attach);
  };
  out.on_settings = [](const Settings& settings) {
    require(settings.header.size == sizeof settings);
  };
  out.on_release = [](const ReleaseTenant& release) {
    require(release.header.kind == LinkKind::release_tenant);
  };
  out.on_move_rows = [](const MoveRows& order) {
    require(order.header.kind == LinkKind::move_rows);
  };
  out.on_drain = [](const Drain& drain) { require(drain.header.kind == LinkKind::drain); };
  out.on_log_pipe = [](UniqueFd) {};
  out.on_status_request = [] {};
  out.on_lost = [&lost] { ++lost; };
  out.on_adopted = [] { std::abort(); };  // it was launched by the supervisor that it talks to
  out.on_orphaned = [] { std::abort(); };
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Loop loop;
  int lost = 0;
  SupervisorLink link(loop, {"/nowhere/supervisor.sock", {}, 1, 0, 60'000}, events(lost));
  auto pair = make_socket_pair(SocketKind::seqpacket).value();
  link.start(std::move(pair.first));
  while (size >= 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, data, sizeof word);
    data += 2;
    size -= 2;
    const std::size_t taken = std::min<std::size_t>(word & 0x7fffU, size);
    const int descriptor = (word & 0x8000U) != 0 ? file.get() : -1;
    (void)send_message(pair.second.get(), std::as_bytes(std::span(data, taken)), descriptor);
    data += taken;
    size -= taken;
    loop.run_once();
  }
  (void)link.send(make_link_message<Ready>(1));
  pair.second.reset();
  loop.run_once();
  require(lost == 1);
  link.stop();
  return 0;
}
