// JSON of a model's files, bounded in size and depth, without exceptions.
//
// Runs in: tenantd-encoder. The only place there that knows how the library says no.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "shared/base/error.h"

namespace tenantd {

// Errors: invalid_config: not JSON, not UTF-8, nested deeper than max_model_json_depth, no object.
[[nodiscard]] Result<nlohmann::json> parse_model_json(std::string_view text);

// Members that may be absent: `fallback` then. A value of another type is an error that names
// `key`.
[[nodiscard]] Result<bool> json_flag(const nlohmann::json& object, const char* key, bool fallback);
[[nodiscard]] Result<std::string> json_text(const nlohmann::json& object, const char* key,
                                            const std::string& fallback);
// A whole number that is not negative.
[[nodiscard]] Result<std::uint64_t> json_number(const nlohmann::json& object, const char* key,
                                                std::uint64_t fallback);
// The member if it is an object; else null.
[[nodiscard]] const nlohmann::json* json_object(const nlohmann::json& object, const char* key);

}  // namespace tenantd
