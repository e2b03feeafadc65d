#include "tests/isolation/driver/matrix.h"

#include <algorithm>
#include <array>

namespace tenantd {
namespace {

struct Title {
  Layer layer;
  std::string_view title;
};
constexpr std::array titles = {Title{Layer::user_namespace, "user"},
                               Title{Layer::mount_namespace, "mount"},
                               Title{Layer::pid_namespace, "pid"},
                               Title{Layer::network_namespace, "net"},
                               Title{Layer::ipc_namespace, "ipc"},
                               Title{Layer::uts_namespace, "uts"},
                               Title{Layer::cgroup_namespace, "cgroup ns"},
                               Title{Layer::own_uid, "own uid"},
                               Title{Layer::capabilities, "caps"},
                               Title{Layer::no_new_privs, "nnp"},
                               Title{Layer::landlock, "Landlock"},
                               Title{Layer::seccomp, "seccomp"},
                               Title{Layer::rlimits, "rlimits"},
                               Title{Layer::cgroup_cpu, "cpu"},
                               Title{Layer::cgroup_memory, "memory"},
                               Title{Layer::cgroup_pids, "pids"}};

bool is_cgroup_column(const Column& column) {
  return column.name != "all" && column.name != "none" &&
         column.layers.without(cgroup_layers).empty();
}

// A group's limits see nothing of an attempt that takes little.
bool is_tried(const AttemptRow& row, const Column& column) {
  return row.quota || !is_cgroup_column(column);
}

std::string cell(const std::string& verdict) { return verdict == "allowed" ? "" : verdict; }

}  // namespace

std::vector<Column> matrix_columns(LayerSet available, bool alone) {
  LayerSet all = available;
  all.remove(Layer::cgroup_io);
  std::vector<Column> columns = {{"none", "none", LayerSet{}}};
  for (const Title& one : titles) {
    if (!alone || !available.has(one.layer)) continue;
    LayerSet only;
    only.add(one.layer);
    columns.push_back({layer_names[static_cast<std::size_t>(one.layer)], one.title, only});
  }
  columns.push_back({"all", "all", all});
  return columns;
}

Matrix run_matrix(Sandbox& sandbox, bool alone) {
  Matrix matrix{matrix_columns(sandbox.available(), alone), {}};
  for (const AttemptRow& row : attempt_rows()) {
    MatrixRow result{&row, {}};
    for (const Column& column : matrix.columns) {
      if (!is_tried(row, column)) {
        result.verdicts[column.name] = "allowed";
        continue;
      }
      Trial trial;
      trial.attempt = row.name;
      trial.layers = column.layers;
      trial.at_start = row.at_start;
      const LayerSet groups = LayerSet(column.layers.bits() & cgroup_layers.bits());
      trial.with_cgroup = row.quota && !groups.empty();
      trial.shipped_jail = column.name == "all";
      result.verdicts[column.name] = sandbox.run(trial);
    }
    matrix.rows.push_back(std::move(result));
  }
  return matrix;
}

std::string matrix_markdown(const Matrix& matrix) {
  std::string text = "| attempt |";
  std::string line = "|---|";
  for (const Column& column : matrix.columns) {
    if (column.name == "none") continue;
    text.append(" ").append(column.title).append(" |");
    line += "---|";
  }
  text += "\n" + line + "\n";
  for (const MatrixRow& row : matrix.rows) {
    text.append("| ").append(row.attempt->name);
    if (row.under("none") != "allowed") text += " (impossible here: " + row.under("none") + ")";
    text += " |";
    for (const Column& column : matrix.columns) {
      if (column.name == "none") continue;
      const std::string verdict = cell(row.under(column.name));
      text.append(verdict.empty() ? " |" : " " + verdict + " |");
    }
    text += "\n";
  }
  return text;
}

}  // namespace tenantd
