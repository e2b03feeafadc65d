// A TOML file as plain values with places, so that only one file depends on the TOML library.
//
// Runs in: the supervisor. The text is untrusted: nesting is bounded before the library sees it,
// its exceptions end here, and no position or key is believed further than as something to show.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "supervisor/config/diagnostics.h"

namespace tenantd {

struct TomlEntry;

struct TomlNode {
  enum class Kind : std::uint8_t { text, integer, real, boolean, date, list, table };
  Kind kind = Kind::table;
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<TomlNode> items;     // of a list
  std::vector<TomlEntry> entries;  // of a table, sorted by key
  Place place;                     // where the value begins
};

struct TomlEntry {
  std::string key;
  Place place;  // of the key
  TomlNode value;
};

// "a string", "a list", ...: for messages.
[[nodiscard]] std::string_view kind_name(TomlNode::Kind kind) noexcept;

// The root table. Not a TOML document (syntax, a duplicated key, invalid UTF-8, nested too deep):
// one problem is added to `diagnostics`, false is returned and `out` is untouched.
[[nodiscard]] bool parse_toml(std::string_view text, Diagnostics& diagnostics, TomlNode& out);

}  // namespace tenantd
