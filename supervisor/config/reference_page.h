// docs/config-reference.md, written from the tables that the reader uses.
//
// Runs in: a test, which compares the committed page with it.
#pragma once

#include <string>

namespace tenantd {

[[nodiscard]] std::string config_reference_markdown();

}  // namespace tenantd
