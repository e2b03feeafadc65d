#include "tests/isolation/driver/page.h"

#include <array>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace tenantd {
namespace {

constexpr std::string_view impossible_mark = " (impossible here";

constexpr const char* introduction = R"(# What stops what

Generated: `tests/isolation` runs every attempt to break out, as a program of its own, with no layer of the confinement,
with each layer alone, and with all of them; then it compares with what is committed here. To accept a change:
`TENANTD_ACCEPT_GOLDEN=1 meson test -C build/release isolation`.

A cell is the errno or signal that ends the attempt with that layer alone; an empty cell: that layer lets it happen. `no
effect`: the call succeeds and reaches nothing of the host's. With no layer every attempt succeeds, except where its row says
that this kernel has no such thing. The run is root's, so that `own uid` and `caps` are the only things between an attempt
and what root may do. Limits of a control group (`cpu`, `memory`, `pids`) are tried on what takes more than them.

What a row shows under `all` is the first guard that answers; the columns before it show how many others stand behind.
`seccomp` includes the second filter that a worker sets when it is ready; `rlimits` includes the closing of descriptors.

)";

constexpr const char* alone = R"(
## What each layer is there for

Each of the layers stops something alone, by the tables above. Three stop little, and nothing else does it where they do:
`uts` hides the host's name and keeps it from being changed, `cgroup ns` hides the paths of control groups, with
the names of other tenants in them, and `nnp` takes the effect from set-uid programs, which is also what lets an unprivileged
process filter its own system calls. `cgroup io` bounds rates, which only time shows: it is measured, not probed.
)";

constexpr std::array settings = {"dev/tty/legacy_tiocsti",
                                 "fs/suid_dumpable",
                                 "kernel/apparmor_restrict_unprivileged_userns",
                                 "kernel/io_uring_disabled",
                                 "kernel/perf_event_paranoid",
                                 "kernel/unprivileged_bpf_disabled",
                                 "kernel/unprivileged_userns_clone",
                                 "kernel/yama/ptrace_scope",
                                 "vm/unprivileged_userfaultfd"};

std::string name_of_row(const std::string& line) {
  const std::size_t end = std::min(line.find(impossible_mark), line.find(" |", 2));
  return line.size() < 2 ? std::string() : line.substr(2, end - 2);
}

std::map<std::string, std::string> rows_of(const std::string& table) {
  std::map<std::string, std::string> rows;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) rows[name_of_row(line)] = line;
  return rows;
}

bool is_impossible(const std::string& line) {
  return line.find(impossible_mark) != std::string::npos;
}

std::string expectations() {
  std::string text =
      "\n## What is expected under all layers\n\n| attempt | ends with | by |\n|---|---|---|\n";
  for (const AttemptRow& row : attempt_rows()) {
    text.append("| ").append(row.name).append(row.at_start ? " (before the second stage)" : "");
    text.append(" | ").append(row.expected).append(" | ").append(row.why).append(" |\n");
  }
  return text;
}

}  // namespace

std::string kernel_settings() {
  std::string text = "With";
  for (const char* name : settings) {
    std::istringstream file(read_text(std::string("/proc/sys/") + name));
    std::string value = "-";
    file >> value;
    text.append(" ").append(name).append("=").append(value);
  }
  return text + "\n\n";
}

std::string golden_name(int landlock_abi) {
  return "landlock-abi-" + std::to_string(landlock_abi) + ".md";
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string matrix_page(const std::string& directory) {
  std::string text = introduction;
  for (int abi = 1; abi < 32; ++abi) {
    const std::string table = read_text(directory + "/" + golden_name(abi));
    if (table.empty()) continue;
    text += "## Landlock ABI " + std::to_string(abi);
    text += abi == 2 ? " (Debian 12, Linux 6.1)\n\n" : "\n\n";
    text += table + "\n";
  }
  text.pop_back();
  return text + alone + expectations();
}

std::vector<std::string> table_differences(const std::string& golden, const std::string& here,
                                           std::vector<std::string>& skipped) {
  std::vector<std::string> differences;
  const auto before = rows_of(golden);
  const auto after = rows_of(here);
  for (const auto& [name, line] : before) {
    const auto found = after.find(name);
    if (found == after.end()) {
      differences.push_back("gone: " + line);
    } else if (is_impossible(line) != is_impossible(found->second)) {
      skipped.push_back(name);
    } else if (found->second != line) {
      differences.push_back("was: " + line + "\n is: " + found->second);
    }
  }
  for (const auto& [name, line] : after) {
    if (!before.contains(name)) differences.push_back("new: " + line);
  }
  return differences;
}

}  // namespace tenantd
