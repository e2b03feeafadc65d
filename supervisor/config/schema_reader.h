// Walks a parsed file along its table of rows.
//
// Runs in: the supervisor, on untrusted values.
#pragma once

#include <span>
#include <vector>

#include "supervisor/config/value_reader.h"

namespace tenantd {

// A key that the file sets, with a value that its row takes.
struct ReadField {
  const FieldSpec* row = nullptr;
  const TomlNode* node = nullptr;  // into the document that was read
  Place place;                     // of the key
  ConfigValue value;
};

// Everything readable in `root`. Unknown and misplaced keys, wrong values and missing required keys
// go to the context's diagnostics, with suggestions. `prefix` is put in front of field names
// ("resources.io[0].").
[[nodiscard]] std::vector<ReadField> read_fields(std::span<const FieldSpec> rows,
                                                 const TomlNode& root, const std::string& prefix,
                                                 ReadContext& context);
// The defaults of a table as TOML text; `plan_index` picks the plan's column.
[[nodiscard]] std::string default_toml(std::span<const FieldSpec> rows, std::size_t plan_index);
// A document with the field `literal` of each row, sections included. Rows with an empty literal
// are left out.
[[nodiscard]] std::string toml_with(std::span<const FieldSpec> rows,
                                    std::string_view (*literal)(const FieldSpec&, std::size_t),
                                    std::size_t plan_index);
// The default of a row in one plan, a TOML literal; empty: none.
[[nodiscard]] std::string_view default_literal(const FieldSpec& row, std::size_t plan_index);

}  // namespace tenantd
