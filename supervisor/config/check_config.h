// `tenantd --check-config`: judges every file without starting anything.
//
// Runs in: tenantd started for that only. Reads; changes nothing.
#pragma once

#include <cstddef>
#include <string>

#include "supervisor/config/account_resolver.h"
#include "supervisor/config/daemon_config.h"

namespace tenantd {

struct ConfigReport {
  std::string text;  // a verdict a file, each problem on a line, a summary
  std::size_t valid = 0;
  std::size_t invalid = 0;  // tenantd.toml, the directory or a tenant's file
  // 0: all valid; 6: not.
  [[nodiscard]] int exit_code() const noexcept { return invalid == 0 ? 0 : 6; }
};

// `daemon_path`: absolute path of tenantd.toml. Tenants are judged by its tenants_dir and ceilings,
// or not at all if it is invalid. Names that are neither tenant files nor temporaries are
// mentioned.
[[nodiscard]] ConfigReport check_config(const std::string& daemon_path,
                                        const DaemonOverrides& overrides,
                                        const AccountResolver& accounts);

// Names of the entries of an open directory, sorted, without "." and "..". Errors: internal with
// errno. Does not move the position of `directory_fd`.
[[nodiscard]] Result<std::vector<std::string>> list_directory(int directory_fd);

}  // namespace tenantd
