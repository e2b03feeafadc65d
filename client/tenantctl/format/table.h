// Aligned columns for people.
//
// Runs in: tenantctl. Every cell is made printable.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenantd {

enum class Color { none, good, warning, bad };

struct Cell {
  std::string text;
  Color color = Color::none;
  Cell(std::string value, Color paint = Color::none) : text(std::move(value)), color(paint) {}
  Cell(const char* value) : text(value) {}
};

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  // Lines with a newline each; columns two blanks apart, no blanks at a line's end.
  [[nodiscard]] std::string text(bool colored) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<Cell>> rows_;
};

// The text with the terminal's color around it, or as it is.
[[nodiscard]] std::string painted(std::string_view text, Color color, bool colored);

}  // namespace tenantd
