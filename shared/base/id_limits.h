// How long an id in a request may be: the router, the protocol, the tenant's file and the launch
// spec must say the same.
//
// Runs in: every process, and the client's. Bytes, without a terminator.
#pragma once

#include <cstdint>

namespace tenantd {

inline constexpr std::uint32_t max_route_id_bytes = 127;
inline constexpr std::uint32_t max_encoder_id_bytes = 63;

}  // namespace tenantd
