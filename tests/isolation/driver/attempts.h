// Every attempt of every probe, and what must become of it under the whole confinement: the one
// table.
#pragma once

#include <span>
#include <string_view>

namespace tenantd {

struct AttemptRow {
  std::string_view name;  // "<rule>.<attempt>"
  // Under all layers: the errno or signal that ends it.
  std::string_view expected;
  std::string_view why;  // what stops it, or why it may go on
  // Before the second stage: what only the jail has applied.
  bool at_start = false;
  // Takes more than a control group's limits: needs one where those layers are on.
  bool quota = false;
  // Why it may fail with all layers off, on some hosts; empty: it may not.
  std::string_view impossible = {};
};

[[nodiscard]] std::span<const AttemptRow> attempt_rows();

// The verdict where this host makes an attempt meaningless.
inline constexpr std::string_view not_tried = "not tried";

}  // namespace tenantd
