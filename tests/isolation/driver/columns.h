// The columns of the matrix: no layer, each layer alone, all of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/contract/process_contract.h"

namespace tenantd {

struct Column {
  std::string_view name;   // of the layer, "none" or "all"
  std::string_view title;  // of the table
  LayerSet layers;
};

// Without cgroup_io, whose effect only time shows; and without what the host lacks. Without
// `alone` only the first and the last.
[[nodiscard]] std::vector<Column> matrix_columns(LayerSet available, bool alone);

}  // namespace tenantd
