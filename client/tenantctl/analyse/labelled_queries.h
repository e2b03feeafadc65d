// Sentences with the route that they should take: what `routes evaluate` reads.
//
//   a TSV line      sentence<TAB>route         '#' begins a comment line; route "-": out of scope
//   a JSON line     {"text": "…", "embedding": [0.1, …], "route": "billing"}   route null or
//   absent: out of scope
//
// Runs in: tenantctl. Errors carry file and line.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "shared/base/error.h"

namespace tenantd {

struct LabelledQuery {
  std::string text;
  std::vector<float> embedding;  // empty: the worker encodes the text
  std::string route;             // empty: out of scope
};

inline constexpr std::size_t max_labelled_queries = 1'000'000;

// Blank lines are skipped. Errors: invalid_argument with file, line and the mend (also for a file
// without queries).
[[nodiscard]] Result<std::vector<LabelledQuery>> read_labelled_queries(
    std::istream& in, const std::string& file_name);

}  // namespace tenantd
