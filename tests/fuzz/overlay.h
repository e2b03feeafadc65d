// What the targets about launch specs share: a spec that passes, and how an input changes it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "shared/contract/launch_spec.h"

namespace tenantd::fuzz {

inline LaunchSpec good_launch_spec() {
  LaunchSpec spec;
  spec.generation = 1;
  spec.tolerated_layers = LayerSet::all().bits();
  spec.supervisor_layers = LayerSet::all().bits();
  spec.mount_count = 3;
  spec.mounts[0].kind = MountSpec::Kind::data_bind;
  (void)spec.mounts[0].source.assign("/proc/self/cwd");
  (void)spec.mounts[0].target.assign("/data");
  spec.mounts[1].kind = MountSpec::Kind::scratch_tmpfs;
  spec.mounts[1].size_bytes = 1U << 20U;
  (void)spec.mounts[1].target.assign("/tmp");
  spec.mounts[2].kind = MountSpec::Kind::read_only_bind;
  (void)spec.mounts[2].source.assign("/usr/share");
  (void)spec.mounts[2].target.assign("/link");
  (void)spec.hostname.assign("acme");
  (void)spec.tenant.tenant_id.assign("acme");
  return spec;
}

// Rows of offset (u16), length (u8), bytes. Returns how long the record is to be.
inline std::size_t overlay(std::span<std::byte> record, std::span<const std::uint8_t> input) {
  while (input.size() >= 3) {
    const std::size_t offset = input[0] | std::size_t{input[1]} << 8U;
    const std::size_t length = std::min<std::size_t>(input[2], input.size() - 3);
    const auto bytes = input.subspan(3, length);
    if (offset < record.size()) {
      std::memcpy(record.data() + offset, bytes.data(), std::min(length, record.size() - offset));
    }
    input = input.subspan(3 + length);
  }
  if (input.size() < 2) return record.size();
  return std::min<std::size_t>(input[0] | std::size_t{input[1]} << 8U, record.size());
}

}  // namespace tenantd::fuzz
