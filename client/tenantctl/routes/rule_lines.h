// The rules of a route, its priority and its aggregation in JSON Lines.
//
//   {"keywords": ["refund"], "patterns": ["\\bINV-[0-9]+\\b"],
//    "always": ["talk to a human", {"pattern": "^/help"}], "never": ["unsubscribe"],
//    "priority": 5, "aggregation": "max"}
//
// Runs in: tenantctl. In "always" and "never" a string is a keyword. What is not there is not
// written.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd {

// Errors: invalid_argument with field and message.
[[nodiscard]] Status read_rules(const nlohmann::ordered_json& object, RouteMessage& route);
void write_rules(const RouteMessage& route, nlohmann::ordered_json& object);

// RouteMessage::aggregation of a name; none for a name that is unknown.
[[nodiscard]] std::optional<std::uint8_t> aggregation_code(std::string_view name) noexcept;
// "max"; empty for 0, the tenant's.
[[nodiscard]] std::string_view aggregation_name_of(std::uint8_t code) noexcept;
// "always keyword "talk to a human"".
[[nodiscard]] std::string rule_text(const RuleMessage& rule);

}  // namespace tenantd
