// A query and a decision as bytes: what the routing cache compares and what it keeps.
//
// Runs in: worker. Read again by the process that wrote them, from memory of its own; still every
// length is checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "worker/router/types.h"

namespace tenantd {

// What a query may differ in: two queries with the same bytes have the same decision. Who asks is
// not in it, because no decision depends on that. `explain` is not either: such queries are not
// remembered.
struct QueryKey {
  std::string bytes;
  std::size_t options_bytes = 0;  // of `bytes`: all but the text and the vector

  void assign(const RouteQuery& query);
  [[nodiscard]] std::string_view options() const noexcept {
    return std::string_view(bytes).substr(0, options_bytes);
  }
};

// Replaces `out`. An explanation is left out.
void write_decision(const RouteDecision& decision, std::string& out);
// Replaces `out`. False: these are no decision's bytes; `out` is of no use then.
[[nodiscard]] bool read_decision(std::string_view bytes, RouteDecision& out);

}  // namespace tenantd
