// tenantd's command line.
//
// Runs in: supervisor, before anything else.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "supervisor/config/daemon_config.h"

namespace tenantd {

inline constexpr std::string_view default_config_path = "/etc/tenantd/tenantd.toml";

struct Options {
  std::string config_path{default_config_path};
  bool config_given = false;  // otherwise an absent file means the defaults
  DaemonOverrides overrides;
  std::optional<LogFormat> log_format;
  std::optional<LogLevel> log_level;
  std::string libexec_dir;  // empty: found beside the program
  bool check_host = false;
  bool check_config = false;
  bool print_config_reference = false;
  bool workers_outlive_stop = false;
};

// The options, or the exit code with which to end at once (help and usage errors are printed).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace tenantd
