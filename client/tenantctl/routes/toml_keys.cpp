#include "client/tenantctl/routes/toml_keys.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace tenantd {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

tl::unexpected<Error> refuse(std::size_t line, const std::string& what) {
  Error error;
  error.code = ErrorCode::unsupported;
  error.line = static_cast<std::uint32_t>(line + 1);
  error.message = what;
  error.hint = "change the file by hand";
  return fail(std::move(error));
}

// The key of a `key = value` line; empty: it is something else.
std::string_view key_of(std::string_view line) {
  const std::string_view text = trimmed(line);
  const std::size_t equals = text.find('=');
  if (text.empty() || text.front() == '#' || equals == std::string_view::npos) return {};
  return trimmed(text.substr(0, equals));
}

// Where the value of a `key = value` line ends: a comment begins, or the line ends. None: the value
// goes on in the next line, or is no plain one.
std::optional<std::size_t> end_of_value(const std::string& line, std::size_t begin) {
  char quote = 0;
  for (std::size_t i = begin; i < line.size(); ++i) {
    if (quote != 0) {
      if (quote == '"' && line[i] == '\\') {
        ++i;
      } else if (line[i] == quote) {
        quote = 0;
      }
    } else if (line[i] == '"' || line[i] == '\'') {
      quote = line[i];
    } else if (line[i] == '[' || line[i] == '{') {
      return std::nullopt;
    } else if (line[i] == '#') {
      return i;
    }
  }
  if (quote != 0) return std::nullopt;
  return line.size();
}

// The first and the one behind the last line of the section's body.
struct Body {
  std::size_t begin = 0;
  std::size_t end = 0;
};

Result<std::optional<Body>> find_section(const std::vector<std::string>& lines,
                                         std::string_view section) {
  std::optional<Body> body;
  bool inside = false;
  bool top_level = true;
  const std::string name(section);
  const std::string wanted = std::string("[").append(section).append("]");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view text = trimmed(lines[i]);
    if (text.find("\"\"\"") != text.npos || text.find("'''") != text.npos) {
      return refuse(i, "text over several lines is not understood here");
    }
    const std::string_view key = key_of(text);
    if (top_level && (key == name || key.substr(0, name.size() + 1) == name + ".")) {
      return refuse(i, "the section " + wanted + " is written in another way");
    }
    if (text.empty() || text.front() != '[') {
      if (inside && !text.empty()) body->end = i + 1;
      continue;
    }
    top_level = false;
    const std::string_view header = trimmed(text.substr(0, text.find('#')));
    if (header.back() != ']' || header.find_first_of(",\"'") != header.npos) {
      return refuse(i, "this is no section that is understood here");
    }
    inside = header == wanted;
    if (!inside) continue;
    if (body) return refuse(i, "the section " + wanted + " stands there twice");
    body = Body{i + 1, i + 1};
  }
  return body;
}

Status set_key(std::vector<std::string>& lines, Body& body, const TomlKey& wanted) {
  std::optional<std::size_t> found;
  for (std::size_t i = body.begin; i < body.end; ++i) {
    if (key_of(lines[i]) != wanted.key) continue;
    if (found) return refuse(i, wanted.key + " stands there twice");
    found = i;
  }
  if (!found) {
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(body.end),
                 wanted.key + " = " + wanted.value);
    ++body.end;
    return {};
  }
  std::string& line = lines[*found];
  const std::size_t begin = line.find_first_not_of(" \t", line.find('=') + 1);
  const auto end = begin == line.npos ? std::nullopt : end_of_value(line, begin);
  if (!end) return refuse(*found, "the value of " + wanted.key + " is no plain one");
  const std::size_t value_end = line.find_last_not_of(" \t\r", *end - 1) + 1;
  line.replace(begin, value_end - begin, wanted.value);
  return {};
}

}  // namespace

Result<std::string> set_toml_keys(std::string_view text, std::string_view section,
                                  std::span<const TomlKey> keys) {
  std::vector<std::string> lines = split_lines(text);
  auto body = find_section(lines, section);
  if (!body) return tl::unexpected(body.error());
  if (!*body) {
    if (!lines.empty() && !trimmed(lines.back()).empty()) lines.emplace_back();
    lines.push_back(std::string("[").append(section).append("]"));
    *body = Body{lines.size(), lines.size()};
  }
  for (const TomlKey& key : keys) {
    if (Status set = set_key(lines, **body, key); !set) return tl::unexpected(set.error());
  }
  std::string out;
  for (const std::string& line : lines) out.append(line).append(1, '\n');
  return out;
}

}  // namespace tenantd
