// Gives the kernel a packet filter.
//
// Runs in: tenantd-network, in the network namespace that the filter is for. Source:
// libnftables(3).
#pragma once

#include <string>

#include "shared/base/error.h"

namespace tenantd {

// All of `text` or nothing. Errors: internal with the library's words on one line.
[[nodiscard]] Status load_ruleset(const std::string& text);

}  // namespace tenantd
