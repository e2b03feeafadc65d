// How events of the ledger stand in the log.
//
// Runs in: supervisor.
#pragma once

#include <string_view>

#include "shared/contract/control_link.h"
#include "supervisor/config/daemon_config.h"

namespace tenantd {

[[nodiscard]] LogLevel level_of(EventType type) noexcept;
[[nodiscard]] std::string_view name_of(EventType type) noexcept;

}  // namespace tenantd
