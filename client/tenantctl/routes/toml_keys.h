// Changes single keys of a TOML text and nothing else: comments, order and spacing stay.
//
// Runs in: tenantctl. No parser: it knows `[section]` lines and `key = value` lines, and refuses a
// text in which such lines might be something else.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace tenantd {

struct TomlKey {
  std::string key;
  std::string value;  // as it stands in the file
};

// `text` with `keys` of `[section]` set; what is missing is added behind its last line, the section
// at the end. Errors: unsupported, naming the line: text over several lines, the section twice or
// written in another way, a key twice.
[[nodiscard]] Result<std::string> set_toml_keys(std::string_view text, std::string_view section,
                                                std::span<const TomlKey> keys);

}  // namespace tenantd
