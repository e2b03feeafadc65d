#include "supervisor/config/path_table_reader.h"

#include <algorithm>

namespace tenantd {
namespace {

constexpr std::size_t max_name_bytes = 40;

bool is_path_name(std::string_view name) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= max_name_bytes &&
         std::all_of(name.begin(), name.end(), plain);
}

}  // namespace

std::optional<ConfigValue> read_path_table(const FieldSpec& row, const TomlNode& node,
                                           const std::string& field, ReadContext& context) {
  std::vector<NamedPath> paths;
  bool all_good = node.entries.size() <= row.max;
  if (!all_good) {
    context.diagnostics.add(node.place, field,
                            std::to_string(node.entries.size()) + " names are too many",
                            "at most " + std::to_string(row.max));
  }
  FieldSpec path_row;
  path_row.type = ValueType::path;
  for (const TomlEntry& entry : node.entries) {
    const std::string name = field + '.' + entry.key;
    if (!is_path_name(entry.key)) {
      context.diagnostics.add(entry.place, field, quoted(entry.key) + " is not a name",
                              "1 to 40 small letters, digits, \"-\" and \"_\"");
      all_good = false;
      continue;
    }
    auto path = read_value(path_row, entry.value, name, context);
    all_good = all_good && path;
    if (path) paths.push_back({entry.key, std::get<std::string>(*std::move(path))});
  }
  if (!all_good) return std::nullopt;
  return paths;
}

}  // namespace tenantd
