// A hash with a secret of this process, so that nobody outside can choose keys that share a slot.
//
// Runs in: worker. Folded 128-bit products, as in wyhash (Wang Yi, 2019), with the constants
// replaced by 16 random bytes that the kernel gave this process at exec. For tables in memory only:
// another process has another secret.
#pragma once

#include <cstdint>
#include <string_view>

namespace tenantd {

[[nodiscard]] std::uint64_t keyed_hash(std::string_view bytes) noexcept;

}  // namespace tenantd
