// Routes as JSON Lines: one route a line, for import and export.
//
//   {"id": "billing", "description": "…", "threshold": 0.4, "tags": ["…"], "metadata": {…},
//    "utterances": ["text", {"text": "…", "embedding": [0.1, …], "encoder": "…"}]}
//
// and the fields of rule_lines.h.
//
// Runs in: tenantctl. Only "id" is demanded. Errors carry file and line.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shared/base/error.h"
#include "shared/protocol/routing_messages.h"

namespace tenantd {

// Errors: invalid_argument with field, message and hint; the caller adds file and line.
[[nodiscard]] Result<RouteMessage> parse_route_line(std::string_view line);
// One line without its newline. Without embeddings an utterance is its text.
[[nodiscard]] std::string format_route_line(const RouteMessage& route, bool with_embeddings);

// Reads a file of routes, a line at a time. Blank lines are skipped; an id may come once.
class RouteLineReader {
 public:
  static constexpr std::size_t max_line_bytes = 64U << 20U;

  // `file_name` is for errors. `in` outlives the reader.
  RouteLineReader(std::istream& in, std::string file_name)
      : in_(in), file_name_(std::move(file_name)) {}
  // Empty at the end of the file.
  [[nodiscard]] Result<std::optional<RouteMessage>> next();
  [[nodiscard]] std::uint32_t line() const noexcept { return line_; }
  [[nodiscard]] const std::string& file_name() const noexcept { return file_name_; }

 private:
  [[nodiscard]] Result<bool> read_line(std::string& text);
  [[nodiscard]] tl::unexpected<Error> at_line(Error error) const;

  std::istream& in_;
  std::string file_name_;
  std::uint32_t line_ = 0;
  std::unordered_map<std::string, std::uint32_t> line_of_id_;
};

}  // namespace tenantd
