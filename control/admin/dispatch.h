// From a request's bytes to its operation, and from the operation's answer to bytes.
//
// Runs in: control. The payload is hostile until decoded.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "control/admin/operation.h"

namespace tenantd {

// Called once for every request that dispatch() accepted, maybe before it returns.
using Respond = std::function<void(MessageType type, std::vector<std::byte> payload)>;

// The payload of an error frame.
[[nodiscard]] std::vector<std::byte> encode_error(const Error& error);

// Error: protocol_error when the type is no request to control or the payload does not decode: the
// peer is then to be dropped. Everything else is answered through `respond`, errors included.
[[nodiscard]] Status dispatch(const AdminContext& context, const Requester& requester,
                              std::uint16_t type, std::span<const std::byte> payload,
                              Respond respond);

}  // namespace tenantd
