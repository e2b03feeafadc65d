// Ids that no tenant's file may have: those of tenantd's own workers.
//
// Runs in: the supervisor.
#pragma once

#include <string_view>

namespace tenantd {

inline constexpr std::string_view reserved_id_prefix = "tenantd-";

[[nodiscard]] constexpr bool is_reserved_id(std::string_view id) noexcept {
  return id.starts_with(reserved_id_prefix);
}

}  // namespace tenantd
