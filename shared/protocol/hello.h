// The hello: the only bytes a client sends before it is accepted. 256 bytes, fixed, little-endian.
//
// Written by the client library, read by the supervisor, which reads nothing else from anybody. An
// answer is always a frame (frame.h): `welcome` from the worker or control that got the socket, or
// `error`.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shared/contract/fixed_text.h"

namespace tenantd {

static_assert(std::endian::native == std::endian::little, "the wire format is little-endian");

inline constexpr std::uint16_t protocol_version_min = 1;
inline constexpr std::uint16_t protocol_version_max = 1;

enum class HelloTarget : std::uint16_t { tenant = 1, control = 2 };
enum class CredentialKind : std::uint16_t {
  peer = 0,   // SO_PEERCRED and SO_PEERGROUPS speak
  token = 1,  // `token` holds token_size bytes, ≥ 16 (128 random bits)
};

struct Hello {
  static constexpr std::uint32_t magic_value = 0x68444e54;  // "TNDh" on the wire
  static constexpr std::size_t token_min_bytes = 16;
  static constexpr std::size_t token_max_bytes = 64;

  std::uint32_t magic = magic_value;
  std::uint16_t size = 256;
  HelloTarget target = HelloTarget::tenant;
  std::uint16_t version_min = protocol_version_min;
  std::uint16_t version_max = protocol_version_max;
  CredentialKind credential = CredentialKind::peer;
  std::uint16_t token_size = 0;
  FixedText<64> tenant_id{};  // empty for control
  std::array<std::uint8_t, token_max_bytes> token{};
  std::array<std::uint8_t, 112> zero{};  // must be zero: room for later versions
};

static_assert(std::is_trivially_copyable_v<Hello> && sizeof(Hello) == 256);

}  // namespace tenantd
