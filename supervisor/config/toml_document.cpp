#include "supervisor/config/toml_document.h"

#include <toml++/toml.h>

#include <algorithm>
#include <exception>

namespace tenantd {
namespace {

// The schema needs three levels.
constexpr unsigned max_depth = 8;
// Every dot outside strings and comments may open one more table ("a.b.c = 1", "[a.b.c]"). The
// library bounds nested brackets, but builds and destroys dotted keys with one level of recursion
// each: 60,000 in a row overflow the stack. No honest file has more dots than this.
constexpr std::size_t max_dots = 512;

// Skips a string that begins at `at`; returns the index after it (or the end of the text).
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string_view triple = quote == '"' ? R"(""")" : "'''";
  const bool multi_line = text.substr(at, 3) == triple;
  at += multi_line ? 3 : 1;
  while (at < text.size()) {
    if (quote == '"' && text[at] == '\\') {
      at += 2;
    } else if (multi_line && text.substr(at, 3) == triple) {
      at += 3;  // the string itself may end in one or two quotes
      while (at < text.size() && text[at] == quote) ++at;
      return at;
    } else if (!multi_line && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    } else {
      ++at;
    }
  }
  return text.size();
}

bool has_too_many_dots(std::string_view text) {
  std::size_t dots = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = skip_string(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.' && ++dots > max_dots) return true;
    ++at;
  }
  return false;
}

Place place_of(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line),
          static_cast<std::uint32_t>(region.begin.column)};
}

bool convert(const toml::node& from, unsigned depth, Diagnostics& diagnostics, TomlNode& out);

bool convert_table(const toml::table& from, unsigned depth, Diagnostics& diagnostics,
                   TomlNode& out) {
  out.kind = TomlNode::Kind::table;
  out.entries.reserve(from.size());
  for (const auto& [key, value] : from) {
    TomlEntry& entry = out.entries.emplace_back();
    entry.key = key.str();
    entry.place = place_of(key.source());
    if (!convert(value, depth + 1, diagnostics, entry.value)) return false;
  }
  return true;
}

bool convert(const toml::node& from, unsigned depth, Diagnostics& diagnostics, TomlNode& out) {
  out.place = place_of(from.source());
  if (depth > max_depth) {
    diagnostics.add(out.place, {}, "nested too deeply");
    return false;
  }
  if (const auto* table = from.as_table()) return convert_table(*table, depth, diagnostics, out);
  if (const auto* list = from.as_array()) {
    out.kind = TomlNode::Kind::list;
    out.items.reserve(list->size());
    for (const toml::node& item : *list) {
      if (!convert(item, depth + 1, diagnostics, out.items.emplace_back())) return false;
    }
  } else if (const auto* text = from.as_string()) {
    out.kind = TomlNode::Kind::text;
    out.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    out.kind = TomlNode::Kind::integer;
    out.integer = integer->get();
  } else if (const auto* real = from.as_floating_point()) {
    out.kind = TomlNode::Kind::real;
    out.real = real->get();
  } else if (const auto* boolean = from.as_boolean()) {
    out.kind = TomlNode::Kind::boolean;
    out.boolean = boolean->get();
  } else {
    out.kind = TomlNode::Kind::date;
  }
  return true;
}

}  // namespace

std::string_view kind_name(TomlNode::Kind kind) noexcept {
  switch (kind) {
    case TomlNode::Kind::text:
      return "a string";
    case TomlNode::Kind::integer:
      return "a whole number";
    case TomlNode::Kind::real:
      return "a decimal number";
    case TomlNode::Kind::boolean:
      return "true or false";
    case TomlNode::Kind::date:
      return "a date or time";
    case TomlNode::Kind::list:
      return "a list";
    case TomlNode::Kind::table:
      return "a section";
  }
  return "a value";
}

bool parse_toml(std::string_view text, Diagnostics& diagnostics, TomlNode& out) {
  if (has_too_many_dots(text)) {
    diagnostics.add({}, {}, "more than 512 dots outside of strings and comments");
    return false;
  }
  try {
    const toml::table parsed = toml::parse(text);
    TomlNode root;
    if (!convert(parsed, 0, diagnostics, root)) return false;
    out = std::move(root);
    return true;
  } catch (const toml::parse_error& error) {
    diagnostics.add(place_of(error.source()), {},
                    "not TOML: " + printable(error.description(), 300));
  } catch (const std::exception& error) {
    diagnostics.add({}, {}, "cannot be parsed: " + printable(error.what(), 300));
  }
  return false;
}

}  // namespace tenantd
