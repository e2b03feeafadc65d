// Values that are lists: names, digests, networks, accounts, I/O bounds. See value_reader.h.
#pragma once

#include "supervisor/config/value_reader.h"

namespace tenantd {

// `node` is known to be a list.
[[nodiscard]] std::optional<ConfigValue> read_list(const FieldSpec& row, const TomlNode& node,
                                                   const std::string& field, ReadContext& context);

// "203.0.113.0/24", "2001:db8::/32". False: not a network, or bits set behind the prefix.
[[nodiscard]] bool is_cidr(std::string_view text);
// 64 hexadecimal digits of either case.
[[nodiscard]] std::optional<Sha256Digest> parse_digest(std::string_view text);
// Absolute, ≤ 4095 bytes, no empty, "." or ".." component, no trailing slash except "/".
[[nodiscard]] bool is_clean_absolute_path(std::string_view text);

}  // namespace tenantd
