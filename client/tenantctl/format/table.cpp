#include "client/tenantctl/format/table.h"

#include <algorithm>

#include "client/tenantctl/format/printable.h"

namespace tenantd {

std::string painted(std::string_view text, Color color, bool colored) {
  if (!colored || color == Color::none) return std::string(text);
  const char* const start = color == Color::good      ? "\033[32m"
                            : color == Color::warning ? "\033[33m"
                                                      : "\033[31m";
  return start + std::string(text) + "\033[0m";
}

std::string Table::text(bool colored) const {
  std::vector<std::vector<Cell>> lines{{header_.begin(), header_.end()}};
  lines.insert(lines.end(), rows_.begin(), rows_.end());
  std::vector<std::size_t> widths(header_.size(), 0);
  for (std::vector<Cell>& line : lines) {
    for (std::size_t i = 0; i < line.size() && i < widths.size(); ++i) {
      line[i].text = printable(line[i].text);
      widths[i] = std::max(widths[i], display_width(line[i].text));
    }
  }
  std::string out;
  for (const std::vector<Cell>& line : lines) {
    std::size_t missing = 0;  // blanks owed before the next cell that has text
    for (std::size_t i = 0; i < line.size() && i < widths.size(); ++i) {
      if (!line[i].text.empty()) {
        out.append(missing, ' ');
        out += painted(line[i].text, line[i].color, colored);
        missing = 0;
      }
      missing += widths[i] - display_width(line[i].text) + 2;
    }
    out += '\n';
  }
  return out;
}

}  // namespace tenantd
