// Fuzzes what a ring's reader makes of its peer's memory. Input: 8-byte steps. The low byte of each
// says what the peer does next (tail, head, sleep word, cpu and doorbell, a record's words), the
// rest is the value.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "shared/ring/adaptive_spin.h"
#include "shared/ring/ring.h"

namespace {

constexpr std::uint32_t ring_bytes = 4096;

struct Memory {
  tenantd::RingHeader header;
  // Of its exact size on the heap, so that ASan sees any access outside.
  std::unique_ptr<std::byte[]> data = std::make_unique<std::byte[]>(ring_bytes);
};

void peer_step(Memory& peer, std::uint64_t& position, std::uint64_t word) {
  const std::uint64_t value = word >> 8U;
  switch (word & 7U) {
    case 0:
      peer.header.tail.store(value);
      break;
    case 1:
      peer.header.tail.fetch_add(value % 512 * 8);
      break;
    case 2:
      peer.header.head.store(value);
      break;
    case 3:
      peer.header.sleep.store(static_cast<std::uint32_t>(value));
      break;
    case 4:
      peer.header.tail.store(~value);
      break;
    case 5:
      position = value % ring_bytes & ~std::uint64_t{7};
      break;
    case 6:
      peer.header.cpu.store(static_cast<std::uint32_t>(value));
      peer.header.doorbell.store(static_cast<std::uint32_t>(value >> 16U));
      break;
    default:
      std::memcpy(peer.data.get() + position, &value, sizeof value);
      position = (position + 8) % ring_bytes;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto own = std::make_unique<Memory>();
  auto peer = std::make_unique<Memory>();
  tenantd::RingEndpoint endpoint(
      {&own->header, own->data.get(), &peer->header, peer->data.get(), ring_bytes});
  tenantd::FrameBuffer buffer;
  tenantd::AdaptiveSpin spin;
  for (int i = 0; i < 8; ++i) spin.record_gap(~std::uint64_t{0});
  std::uint64_t position = 0;
  const std::byte answer[40]{};
  for (; size >= sizeof(std::uint64_t); data += sizeof(std::uint64_t), size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, sizeof word);
    peer_step(*peer, position, word);
    if ((word & 8U) != 0) continue;
    const auto frame = endpoint.pop(buffer);
    if (!frame && frame.error().code != tenantd::ErrorCode::protocol_error) std::abort();
    if (frame && frame->has_value()) {
      if ((*frame)->payload.size() > ring_bytes) std::abort();
      std::uint8_t sum = 0;
      for (const std::byte byte : (*frame)->payload) sum ^= static_cast<std::uint8_t>(byte);
      if (sum == 1 && (*frame)->header.request_id == 1) (void)endpoint.publish();
    }
    const auto pushed = endpoint.try_push(tenantd::FrameHeader{}, answer);
    if (!pushed && pushed.error().code != tenantd::ErrorCode::protocol_error) std::abort();
    bool wake = false;
    (void)endpoint.prepare_sleep((word & 16U) != 0, wake);
    endpoint.wake_up();
    (void)endpoint.prepare_sleep_for_space(wake);
    endpoint.wake_up();
    // Whatever the peer says of its CPU: after long gaps nobody spins.
    if (spin.should_spin(0, endpoint.peer_cpu())) std::abort();
  }
  return 0;
}
