// Two endpoints over plain memory of this process, so that TSan sees both sides of every access.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "shared/ring/ring.h"

namespace tenantd::test {

struct LocalMemory {
  explicit LocalMemory(std::uint32_t bytes) : data(bytes) {}
  RingHeader header;
  std::vector<std::byte> data;
};

struct LocalRing {
  explicit LocalRing(std::uint32_t bytes)
      : a(std::make_unique<LocalMemory>(bytes)), b(std::make_unique<LocalMemory>(bytes)) {}
  static RingPlaces places(LocalMemory& own, const LocalMemory& peer) {
    return {&own.header, own.data.data(), &peer.header, peer.data.data(),
            static_cast<std::uint32_t>(own.data.size())};
  }
  std::unique_ptr<LocalMemory> a;
  std::unique_ptr<LocalMemory> b;
  RingEndpoint left{places(*a, *b)};
  RingEndpoint right{places(*b, *a)};
};

// A payload that depends on the id, and its check.
inline void fill(std::vector<std::byte>& payload, std::uint64_t id, std::size_t size) {
  payload.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    payload[i] = static_cast<std::byte>((id * 31 + i * 7) & 0xff);
  }
}
inline bool is_filled(std::span<const std::byte> payload, std::uint64_t id) {
  for (std::size_t i = 0; i < payload.size(); ++i) {
    if (payload[i] != static_cast<std::byte>((id * 31 + i * 7) & 0xff)) return false;
  }
  return true;
}

}  // namespace tenantd::test
