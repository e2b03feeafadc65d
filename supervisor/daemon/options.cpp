#include "supervisor/daemon/options.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "supervisor/log/log.h"

namespace tenantd {
namespace {

void add_flags(CLI::App& app, Options& options, std::string& format, std::string& level) {
  auto& overrides = options.overrides;
  app.add_option("--config", options.config_path, "the instance's configuration")
      ->capture_default_str();
  app.add_option("--tenants-dir", overrides.tenants_dir, "one <id>.toml a tenant");
  app.add_option("--state-dir", overrides.state_dir, "tenants' data and the ledger");
  app.add_option("--run-dir", overrides.run_dir, "sockets");
  app.add_option("--cgroup-root", overrides.cgroup_root,
                 "the cgroup directory that tenantd may use, as `root` in [cgroup]");
  app.add_option("--libexec-dir", options.libexec_dir,
                 "where tenantd-jail, tenantd-worker and tenantd-control are");
  app.add_option("--tolerate-missing", overrides.tolerate_missing,
                 "confinement layers that this host may lack")
      ->delimiter(',');
  app.add_option("--log-format", format, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--log-level", level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  app.add_flag("--check-config", options.check_config, "judge all files, start nothing");
  app.add_flag("--check-host", options.check_host,
               "say which confinement layers this host has, start nothing");
  app.add_flag("--print-config-reference", options.print_config_reference,
               "every key of every file, as Markdown");
  app.add_flag("--workers-outlive-stop", options.workers_outlive_stop,
               "SIGTERM ends the supervisor alone: for units whose workers live in another unit");
}

// The configuration reader takes absolute paths only.
void make_absolute(std::optional<std::string>& path) {
  if (path) path = std::filesystem::absolute(*path).lexically_normal().string();
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
  static constexpr int usage_error = 2;
  CLI::App app("tenantd: a confined semantic router for every tenant", "tenantd");
  Options options;
  std::string format;
  std::string level;
  try {
    app.set_version_flag("--version", std::string("tenantd ") + TENANTD_VERSION);
    add_flags(app, options, format, level);
    app.parse(argc, argv);
    options.config_given = app.count("--config") > 0;
    options.config_path =
        std::filesystem::absolute(options.config_path).lexically_normal().string();
    make_absolute(options.overrides.tenants_dir);
    make_absolute(options.overrides.state_dir);
    make_absolute(options.overrides.run_dir);
    make_absolute(options.overrides.cgroup_root);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage_error;
  } catch (const std::exception& error) {
    std::cerr << "tenantd: " << error.what() << '\n';
    return usage_error;
  }
  options.log_format = parse_log_format(format);
  options.log_level = parse_log_level(level);
  return options;
}

}  // namespace tenantd
