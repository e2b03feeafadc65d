// The only parser of the supervisor that reads bytes of strangers: one fixed-size hello.
//
// Runs in: supervisor. Everything in the bytes is hostile.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/protocol/hello.h"

namespace tenantd {

struct CheckedHello {
  HelloTarget target = HelloTarget::tenant;
  std::optional<TenantId> tenant;      // set for HelloTarget::tenant, and only then
  std::uint32_t protocol_version = 0;  // the highest that both sides speak
  CredentialKind credential = CredentialKind::peer;
  std::array<std::uint8_t, Hello::token_max_bytes> token{};
  std::size_t token_size = 0;  // 0 for CredentialKind::peer
};

// Errors: protocol_error (size, magic, reserved bytes, unknown target or credential, a malformed id
// or token), unsupported (no common protocol version). Messages never repeat what the peer wrote.
[[nodiscard]] Result<CheckedHello> check_hello(std::span<const std::byte> bytes);

}  // namespace tenantd
