// Every attempt with no layer, with each layer alone, and with all of them.
#include "tests/isolation/driver/matrix.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>

#include "tests/isolation/driver/options.h"
#include "tests/isolation/driver/page.h"

using namespace tenantd;

namespace {

// A probe that cannot succeed proves nothing.
void check_control(const Matrix& matrix) {
  for (const MatrixRow& row : matrix.rows) {
    CAPTURE(row.attempt->name);
    const std::string& verdict = row.under("none");
    if (verdict == "allowed") continue;
    CAPTURE(verdict);
    CHECK_MESSAGE(!row.attempt->impossible.empty(), "stopped without any layer");
    MESSAGE("impossible here: ", row.attempt->name, ": ", row.attempt->impossible);
  }
}

void check_all_layers(const Matrix& matrix, bool has_quotas) {
  for (const MatrixRow& row : matrix.rows) {
    if (row.attempt->quota && !has_quotas) continue;
    if (row.under("all") == not_tried) continue;
    CAPTURE(row.attempt->name);
    CAPTURE(row.attempt->why);
    CHECK(row.under("all") == row.attempt->expected);
  }
}

void check_each_stops_something(const Matrix& matrix) {
  for (const Column& column : matrix.columns) {
    if (column.name == "none") continue;
    CAPTURE(column.name);
    CHECK(std::any_of(matrix.rows.begin(), matrix.rows.end(), [&column](const MatrixRow& row) {
      return row.under("none") == "allowed" && row.under(column.name) != "allowed";
    }));
  }
}

// Settings and columns.
std::string head_of(const std::string& table) { return table.substr(0, table.find("|---")); }

void compare_with_golden(const Sandbox& sandbox, const Matrix& matrix) {
  const IsolationOptions& options = isolation_options();
  const std::string path = options.golden + "/" + golden_name(sandbox.host().landlock_abi);
  const std::string here = kernel_settings() + matrix_markdown(matrix);
  if (options.accept) std::ofstream(path) << here;
  const std::string golden = read_text(path);
  if (golden.empty()) {
    MESSAGE("skipped: no table is committed for Landlock ABI ", sandbox.host().landlock_abi);
    return;
  }
  if (head_of(golden) != head_of(here)) {
    MESSAGE("skipped: the committed table is of a host with other layers or settings: ",
            head_of(golden), " here: ", head_of(here));
    return;
  }
  std::vector<std::string> skipped;
  for (const std::string& line : table_differences(golden, here, skipped)) FAIL_CHECK(line);
  std::string rows;
  for (const std::string& name : skipped) rows += name + " ";
  if (!rows.empty())
    MESSAGE("skipped: not possible on this kernel or not on that of the table: ", rows);
}

}  // namespace

TEST_CASE("the table of attempts leaves none allowed but for a stated reason") {
  REQUIRE(attempt_rows().size() > 150);
  for (const AttemptRow& row : attempt_rows()) {
    CAPTURE(row.name);
    CHECK_FALSE(row.why.empty());
    CHECK((row.expected != "allowed" || row.at_start));
  }
}

TEST_CASE("everything is stopped by all layers, and each layer stops something alone") {
  Sandbox sandbox;
  if (!sandbox.privileged()) {
    MESSAGE("skipped: layers alone need root; all of them together are tried below");
    return;
  }
  const LayerSet missing = LayerSet::all().without(sandbox.available()).without(cgroup_layers);
  if (!missing.empty()) {
    MESSAGE("skipped: this host lacks ", layer_list(missing));
    return;
  }
  const bool quick = isolation_options().quick;
  const Matrix matrix = run_matrix(sandbox, !quick);
  check_control(matrix);
  check_all_layers(matrix, sandbox.available().has(Layer::cgroup_memory) &&
                               sandbox.available().has(Layer::cgroup_pids) &&
                               sandbox.available().has(Layer::cgroup_cpu));
  if (quick) return;
  check_each_stops_something(matrix);
  if (!isolation_options().golden.empty()) compare_with_golden(sandbox, matrix);
}

TEST_CASE("the page is the one that the committed tables give") {
  const IsolationOptions& options = isolation_options();
  if (options.golden.empty() || options.docs.empty()) {
    MESSAGE("skipped: no --golden, no --docs");
    return;
  }
  const std::string page = matrix_page(options.golden);
  if (options.accept) std::ofstream(options.docs) << page;
  INFO("to accept: TENANTD_ACCEPT_GOLDEN=1");
  CHECK(read_text(options.docs) == page);
}
