// docs/isolation-matrix.md and the golden files: what is written and how it is compared.
#pragma once

#include <string>
#include <vector>

#include "tests/isolation/driver/matrix.h"

namespace tenantd {

// Settings of the running kernel that decide what a layer alone stops, as the golden file's first
// line. A setting that the kernel has not: "-".
[[nodiscard]] std::string kernel_settings();

// A golden file's name, for a kernel with this Landlock ABI.
[[nodiscard]] std::string golden_name(int landlock_abi);

// The documentation page, from the table of attempts and the golden files of `directory`.
[[nodiscard]] std::string matrix_page(const std::string& directory);

// Lines of the tables that differ, for people. A row that only one of the two hosts can attempt
// without any layer is no difference; its name goes to `skipped`.
[[nodiscard]] std::vector<std::string> table_differences(const std::string& golden,
                                                         const std::string& here,
                                                         std::vector<std::string>& skipped);

[[nodiscard]] std::string read_text(const std::string& path);

}  // namespace tenantd
