// What every command works with: the global options, connections, and where answers go.
//
// Runs in: tenantctl. What comes from the daemon is printed only after it was made printable.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/include/tenantd/client.h"
#include "client/tenantctl/analyse/labelled_queries.h"
#include "client/tenantctl/format/reports.h"
#include "shared/protocol/json.h"

namespace tenantd {

struct GlobalOptions {
  std::string socket_path = "/run/tenantd/tenantd.sock";
  std::string token_file;
  std::string transport = "ring";
  std::string timeout = "5s";
  std::uint64_t timeout_ms = 5000;
  bool json = false;
  bool no_color = false;
};

// A command's work, run after the whole command line was understood; gives the exit status.
using Action = std::function<Result<int>()>;

struct Context {
  GlobalOptions options;
  Action action;

  // What the global options say. Error: the token file's.
  [[nodiscard]] Result<ConnectOptions> connect_options() const;
  [[nodiscard]] Result<Client> connect(const std::string& tenant) const;
  [[nodiscard]] Result<AdminClient> connect_admin() const;
  [[nodiscard]] bool colored() const;
  // Prints and gives 0, or an error when the output is closed.
  [[nodiscard]] Result<int> print(std::string_view text) const;
  // The message as JSON or the text, as the user chose.
  template <class T>
  [[nodiscard]] Result<int> print_either(const T& message, const std::string& text) const {
    return print(options.json ? json_text(to_json(message)) : text);
  }
};

// Each adds its commands to the application.
void add_config_commands(CLI::App& app, Context& context);
void add_tenant_commands(CLI::App& app, Context& context);
void add_status_command(CLI::App& app, Context& context);
void add_query_command(CLI::App& app, Context& context);
void add_bench_command(CLI::App& app, Context& context);
void add_routes_commands(CLI::App& app, Context& context);
void add_import_command(CLI::App& routes, Context& context);
void add_export_command(CLI::App& routes, Context& context);
void add_evaluate_command(CLI::App& routes, Context& context);
void add_lint_command(CLI::App& routes, Context& context);
void add_fit_command(CLI::App& routes, Context& context);
void add_cache_commands(CLI::App& app, Context& context);
void add_executions_command(CLI::App& app, Context& context);
void add_retention_command(CLI::App& tenant, Context& context);
void add_reload_command(CLI::App& app, Context& context);
void add_verify_command(CLI::App& app, Context& context);

// Shared by `tenant status` and `status`. Tenant empty: all.
[[nodiscard]] Result<int> show_status(const Context& context, const std::string& tenant);
// All tenants, or the one; pages are joined.
[[nodiscard]] Result<AdminTenants> fetch_tenants(AdminClient& admin, const std::string& tenant);
// All pages of a listing; the pieces of a long route are joined.
[[nodiscard]] Result<RoutesPage> fetch_routes(Client& client, RoutesPageRequest request);
// The whole of a regular file, pipe or "-" (standard input). Errors: invalid_argument (too long),
// not_found.
[[nodiscard]] Result<std::string> read_input(const std::string& file, std::size_t max_bytes);

// Of a file, or of "-". Errors: those of read_labelled_queries(); not_found.
[[nodiscard]] Result<std::vector<LabelledQuery>> read_labelled_file(const std::string& file);
// A line that is written over, on a terminal only.
void show_progress(const char* what, std::size_t done, std::size_t all);

}  // namespace tenantd
