// What tenantctl prints of each answer, for people and as JSON.
//
// Runs in: tenantctl. Pure functions; texts end with a newline. The JSON of a message is its fields
// as shared/protocol describes them; errors are {code, message, tenant, field, file, line, hint,
// retry_after_ms}.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/protocol/admin_messages.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd {

using Json = nlohmann::ordered_json;

// One line of text. Bytes that are no UTF-8 become U+FFFD.
[[nodiscard]] std::string json_text(const Json& json);
[[nodiscard]] Json error_json(const Error& error);
[[nodiscard]] std::string error_text(const Error& error);

// "3d 4h", "2h 5m", "1m 3s", "12s".
[[nodiscard]] std::string format_duration(std::uint64_t ms);
[[nodiscard]] std::string daemon_text(const AdminDaemon& daemon, bool colored);
[[nodiscard]] std::string tenants_text(const std::vector<TenantInfo>& tenants, bool colored);
[[nodiscard]] std::string tenant_detail_text(const TenantInfo& tenant, bool colored);
[[nodiscard]] std::string posture_text(const AdminPosture& posture, bool colored);
// A line of daemon_text(); empty until somebody was verified.
[[nodiscard]] std::string verifications_line(const AdminDaemon& daemon, bool colored);
[[nodiscard]] std::string verification_text(const AdminVerification& report, bool colored);
[[nodiscard]] std::string verifications_text(const std::vector<PastVerification>& past);
[[nodiscard]] std::string log_entry_text(const LogEntry& entry);
[[nodiscard]] std::string events_text(const std::vector<EventInfo>& events);
[[nodiscard]] std::string route_reply_text(const RouteReply& reply, double latency_us,
                                           bool colored);
// What routes take, such as "12.5 KiB".
[[nodiscard]] std::string memory_text(std::uint64_t bytes);
[[nodiscard]] std::string routes_text(const std::vector<RouteListing>& routes);
[[nodiscard]] std::string route_detail_text(const RouteListing& listing);

}  // namespace tenantd
