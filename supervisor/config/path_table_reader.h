// Tables of names with paths, such as storage_roots: what the host's owner offers to tenants' files
// by name. See value_reader.h.
//
// Runs in: the supervisor. Whose the paths are is looked at when one of them is used.
#pragma once

#include "supervisor/config/value_reader.h"

namespace tenantd {

// `node` is known to be a table.
[[nodiscard]] std::optional<ConfigValue> read_path_table(const FieldSpec& row, const TomlNode& node,
                                                         const std::string& field,
                                                         ReadContext& context);

}  // namespace tenantd
