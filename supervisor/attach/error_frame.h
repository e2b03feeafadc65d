// The supervisor's only answer on a client's socket: one error frame, then it is closed.
//
// Runs in: supervisor. Never blocks: a peer that does not read gets nothing.
#pragma once

#include <cstddef>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

// Header and payload. Texts over the message's bounds are cut.
[[nodiscard]] std::vector<std::byte> make_error_frame(const Error& error);
// Best effort; the caller closes the socket.
void send_error_frame(int socket, const Error& error);

}  // namespace tenantd
