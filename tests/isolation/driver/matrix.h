// The matrix: attempts × columns, as it is here and as Markdown.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/isolation/driver/attempts.h"
#include "tests/isolation/driver/columns.h"
#include "tests/isolation/driver/sandbox.h"

namespace tenantd {

struct MatrixRow {
  const AttemptRow* attempt;
  std::map<std::string_view, std::string> verdicts;  // by column name
  [[nodiscard]] const std::string& under(std::string_view column) const {
    return verdicts.at(column);
  }
};

struct Matrix {
  std::vector<Column> columns;
  std::vector<MatrixRow> rows;
};

[[nodiscard]] Matrix run_matrix(Sandbox& sandbox, bool alone);

// One line an attempt, one column a layer; an empty cell: the layer alone lets it happen.
[[nodiscard]] std::string matrix_markdown(const Matrix& matrix);

}  // namespace tenantd
