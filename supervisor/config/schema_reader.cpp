#include "supervisor/config/schema_reader.h"

#include <algorithm>
#include <optional>

namespace tenantd {
namespace {

using Kind = TomlNode::Kind;

class SchemaReader {
 public:
  SchemaReader(std::span<const FieldSpec> rows, const std::string& prefix, ReadContext& context)
      : rows_(rows), prefix_(prefix), context_(context) {}

  std::vector<ReadField> read(const TomlNode& root) {
    for (const TomlEntry& entry : root.entries) {
      if (const FieldSpec* row = find({}, entry.key)) {
        read_entry(*row, entry);
      } else if (!has_section(entry.key)) {
        report_unknown({}, entry);
      } else if (entry.value.kind != Kind::table) {
        context_.diagnostics.add(entry.value.place, prefix_ + entry.key,
                                 "expected a section [" + entry.key + "], got " +
                                     std::string(kind_name(entry.value.kind)));
      } else {
        read_section(entry);
      }
    }
    report_missing(root);
    return std::move(fields_);
  }

 private:
  void read_section(const TomlEntry& section) {
    for (const TomlEntry& entry : section.value.entries) {
      if (const FieldSpec* row = find(section.key, entry.key)) {
        read_entry(*row, entry);
      } else {
        report_unknown(section.key, entry);
      }
    }
  }

  void read_entry(const FieldSpec& row, const TomlEntry& entry) {
    const std::string field = prefix_ + row.full_name();
    std::optional<ConfigValue> value = read_value(row, entry.value, field, context_);
    if (value) fields_.push_back({&row, &entry.value, entry.place, *std::move(value)});
  }

  void report_missing(const TomlNode& root) {
    for (const FieldSpec& row : rows_) {
      if (!row.required) continue;
      const auto is_it = [&row](const TomlEntry& entry) { return entry.key == row.key; };
      if (std::any_of(root.entries.begin(), root.entries.end(), is_it)) continue;
      context_.diagnostics.add(prefix_.empty() ? Place{} : root.place, prefix_ + row.full_name(),
                               "missing", "expected " + expectation(row));
    }
  }

  void report_unknown(std::string_view section, const TomlEntry& entry) {
    const std::string where = section.empty() ? std::string() : std::string(section) + '.';
    const bool is_section = section.empty() && entry.value.kind == Kind::table;
    context_.diagnostics.add(
        entry.place, prefix_ + where + printable(entry.key),
        is_section ? "unknown section" : "unknown key",
        context_.diagnostics.full() ? std::string() : suggestion(section, entry.key));
  }

  std::string suggestion(std::string_view section, std::string_view key) const {
    for (const FieldSpec& row : rows_) {
      if (row.key == key) return belongs(row);
    }
    std::vector<std::string_view> names;
    for (const FieldSpec& row : rows_) {
      if (row.section == section) names.push_back(row.key);
      if (section.empty() && !row.section.empty()) names.push_back(row.section);
    }
    if (const auto near = nearest_name(key, names)) return "did you mean " + quoted(*near) + "?";
    names.clear();
    for (const FieldSpec& row : rows_) names.push_back(row.key);
    const auto near = nearest_name(key, names);
    if (!near) return {};
    const auto row = std::find_if(rows_.begin(), rows_.end(),
                                  [&near](const FieldSpec& other) { return other.key == *near; });
    return "did you mean " + quoted(*near) + "? It " + belongs(*row);
  }

  static std::string belongs(const FieldSpec& row) {
    if (!row.section.empty()) return "belongs in [" + std::string(row.section) + "]";
    return "belongs at the top of the file, before the first [section]";
  }

  const FieldSpec* find(std::string_view section, std::string_view key) const {
    for (const FieldSpec& row : rows_) {
      if (row.key == key && row.section == section) return &row;
    }
    return nullptr;
  }

  bool has_section(std::string_view name) const {
    return !name.empty() && std::any_of(rows_.begin(), rows_.end(), [name](const FieldSpec& row) {
      return row.section == name;
    });
  }

  std::span<const FieldSpec> rows_;
  const std::string& prefix_;
  ReadContext& context_;
  std::vector<ReadField> fields_;
};

}  // namespace

std::vector<ReadField> read_fields(std::span<const FieldSpec> rows, const TomlNode& root,
                                   const std::string& prefix, ReadContext& context) {
  return SchemaReader(rows, prefix, context).read(root);
}

std::string_view default_literal(const FieldSpec& row, std::size_t plan_index) {
  const std::string_view of_plan = row.plan_defaults[plan_index];
  return of_plan.empty() ? row.fallback : of_plan;
}

std::string toml_with(std::span<const FieldSpec> rows,
                      std::string_view (*literal)(const FieldSpec&, std::size_t),
                      std::size_t plan_index) {
  std::string out;
  std::string_view section;  // rows of one section stand together
  for (const FieldSpec& row : rows) {
    const std::string_view text = literal(row, plan_index);
    if (text.empty()) continue;
    if (row.section != section) {
      section = row.section;
      out += '[' + std::string(section) + "]\n";
    }
    out += std::string(row.key) + " = " + std::string(text) + '\n';
  }
  return out;
}

std::string default_toml(std::span<const FieldSpec> rows, std::size_t plan_index) {
  return toml_with(rows, default_literal, plan_index);
}

}  // namespace tenantd
