// Whom to attach to, from what a caller said.
//
// Runs in: client library. The caller's copy of a token is wiped.
#pragma once

#include <string_view>

#include "client/attachment.h"
#include "client/include/tenantd/client.h"

namespace tenantd::client {

// Errors: invalid_argument (tenant).
[[nodiscard]] Result<Target> tenant_target(std::string_view tenant, ConnectOptions options);
// Error: invalid_argument.
[[nodiscard]] Status check_token(const Secret& token);

}  // namespace tenantd::client
