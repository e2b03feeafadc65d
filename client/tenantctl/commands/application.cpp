#include "client/tenantctl/commands/application.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "client/tenantctl/format/printable.h"
#include "shared/base/units.h"

namespace tenantd {
namespace {

constexpr int usage_exit = 2;

int report(const Error& error, bool json) {
  (void)std::fputs((json ? json_text(error_json(error)) : error_text(error)).c_str(), stderr);
  return exit_code_for(error.code);
}

// CLI11's own words: help and version to standard output, errors to standard error.
int report_parse(const CLI::App& app, const CLI::ParseError& error, bool json) {
  if (error.get_exit_code() == 0) return app.exit(error);
  if (json) {
    Error usage;
    usage.code = ErrorCode::invalid_argument;
    usage.message = error.what();
    usage.hint = "tenantctl --help";
    (void)report(usage, true);
  } else {
    (void)std::fprintf(stderr, "tenantctl: %s\nTry tenantctl --help.\n",
                       printable(error.what()).c_str());
  }
  return usage_exit;
}

}  // namespace

void build_application(CLI::App& app, Context& context) {
  GlobalOptions& options = context.options;
  app.name("tenantctl");
  app.description("Operate tenantd and its tenants' semantic routers.");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string("tenantctl ") + TENANTD_VERSION,
                       "Print the version");
  app.add_option("--socket", options.socket_path, "The daemon's socket (/run/tenantd/tenantd.sock)")
      ->envname("TENANTD_SOCKET");
  app.add_option("--token-file", options.token_file, "Authenticate with the token in this file");
  app.add_option("--transport", options.transport, "ring (default) or stream")
      ->check(CLI::IsMember({"ring", "stream"}));
  app.add_option("--timeout", options.timeout, "How long a request may take (5s)")
      ->check([&options](const std::string& text) {
        const auto parsed = parse_duration_ms(text);
        if (!parsed) return parsed.error().message;
        if (*parsed == 0) return std::string("must be longer than nothing");
        options.timeout_ms = *parsed;
        return std::string();
      });
  app.add_flag("--json", options.json, "Print JSON, errors too");
  app.add_flag("--no-color", options.no_color, "No colors, as with NO_COLOR in the environment");
  add_status_command(app, context);
  add_tenant_commands(app, context);
  add_query_command(app, context);
  add_bench_command(app, context);
  add_routes_commands(app, context);
  add_cache_commands(app, context);
  add_executions_command(app, context);
  add_reload_command(app, context);
  add_verify_command(app, context);
  add_config_commands(app, context);
}

int run_tenantctl(int count, const char* const* arguments) {
  Context context;
  CLI::App app;
  build_application(app, context);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    // A line that was not understood to its end has set no option.
    const auto is_json = [](const char* argument) {
      return std::string_view(argument) == "--json";
    };
    return report_parse(app, error, std::any_of(arguments, arguments + count, is_json));
  }
  const auto done = context.action();
  return done ? *done : report(done.error(), context.options.json);
}

}  // namespace tenantd
