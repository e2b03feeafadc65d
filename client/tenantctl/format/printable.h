// Untrusted text made safe for a terminal, and how wide it is there.
//
// Runs in: tenantctl. Log lines, route names and reasons come from tenants: they may hold terminal
// escapes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tenantd {

// Control characters (C0, DEL, C1), line separators and direction overrides become \n, \t, \xNN or
// \u{NNNN}; bytes that are no UTF-8 become \xNN. Everything else stays.
[[nodiscard]] std::string printable(std::string_view text);
// Columns of a terminal: wide characters count two, combining marks none. For printable text.
[[nodiscard]] std::size_t display_width(std::string_view text);
// At most `columns` wide; a cut is shown by "…".
[[nodiscard]] std::string shortened(std::string_view text, std::size_t columns);

}  // namespace tenantd
