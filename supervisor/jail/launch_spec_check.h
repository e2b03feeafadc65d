// Whether a launch spec may be acted upon.
//
// Runs in: the jail (before it does anything) and tests. Trusts nothing: every count, text and path
// is checked, although only the supervisor can have sealed the record.
#pragma once

#include <string_view>

#include "shared/base/error.h"
#include "shared/contract/launch_spec.h"

namespace tenantd {

// Errors: invalid_argument naming the field.
[[nodiscard]] Status check_launch_spec(const LaunchSpec& spec);

// Absolute, without "." or ".." components, empty components or a trailing slash; never "/" itself.
[[nodiscard]] bool is_plain_absolute_path(std::string_view path) noexcept;

// A bind whose files are mapped executable and found through symlinks; all others are not.
[[nodiscard]] bool is_library(const MountSpec& mount) noexcept;
// True when the program gets directories with libraries and its loader maps executable pages.
[[nodiscard]] bool has_libraries(const LaunchSpec& spec) noexcept;

inline constexpr std::string_view link_directory_path = "/link";

}  // namespace tenantd
