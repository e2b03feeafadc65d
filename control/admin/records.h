// From the supervisor's fixed-size records to the messages that operators get.
//
// Runs in: control. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/contract/control_link.h"
#include "shared/protocol/admin_messages.h"

namespace tenantd {

// "running"; "unknown" for a number outside the list.
[[nodiscard]] std::string_view tenant_state_name(TenantState state) noexcept;
// Names in the order of the bits.
[[nodiscard]] std::vector<std::string> layer_list(std::uint32_t bits);
// Non-empty parts, at most `max_parts`, each cut to 1,024 bytes and trimmed of spaces.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text, char separator,
                                                  std::size_t max_parts);
[[nodiscard]] TenantInfo tenant_info_of(const TenantRecord& record);
[[nodiscard]] AdminPosture posture_of(const PostureRecord& record);
[[nodiscard]] VerifyProbe probe_of(const VerifyProbeRecord& record);
[[nodiscard]] AdminDaemon daemon_of(const DaemonRecord& record);

}  // namespace tenantd
