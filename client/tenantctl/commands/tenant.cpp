// Commands: tenant list | status | restart | logs | events; retention is in history.cpp.
#include <chrono>
#include <memory>
#include <thread>

#include "client/tenantctl/commands/context.h"

namespace tenantd {
namespace {

constexpr auto follow_interval = std::chrono::milliseconds(500);

struct LogsOptions {
  std::string tenant;
  std::uint32_t lines = 100;
  bool follow = false;
};

std::string entry_text(const Context& context, const LogEntry& entry) {
  return context.options.json ? json_text(to_json(entry)) : log_entry_text(entry);
}

// Until the output closes or a call fails. Control's numbering starts again when control does.
Result<int> follow(const Context& context, AdminClient& admin, const std::string& tenant,
                   std::uint64_t after) {
  for (;;) {
    auto logs = admin.logs({tenant, 256, after});
    if (logs && logs->entries.empty()) {
      const auto newest = admin.logs({tenant, 1, 0});
      if (newest && !newest->entries.empty() && newest->entries[0].sequence < after) after = 0;
      std::this_thread::sleep_for(follow_interval);
      continue;
    }
    if (!logs) return fail(logs.error());
    for (const LogEntry& entry : logs->entries) {
      if (const auto printed = context.print(entry_text(context, entry)); !printed) return printed;
      after = entry.sequence;
    }
  }
}

Result<int> show_logs(const Context& context, const LogsOptions& options) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto logs = admin->logs({options.tenant, options.lines, 0});
  if (!logs) return fail(logs.error());
  if (context.options.json && !options.follow) return context.print(json_text(to_json(*logs)));
  std::uint64_t last = 0;
  for (const LogEntry& entry : logs->entries) {
    if (const auto printed = context.print(entry_text(context, entry)); !printed) return printed;
    last = entry.sequence;
  }
  return options.follow ? follow(context, *admin, options.tenant, last) : Result<int>(0);
}

Result<int> list_tenants(const Context& context) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto tenants = fetch_tenants(*admin, "");
  if (!tenants) return fail(tenants.error());
  return context.print_either(*tenants, tenants_text(tenants->tenants, context.colored()));
}

Result<int> restart_tenant(const Context& context, const std::string& tenant) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto done = admin->restart(tenant);
  if (!done) return fail(done.error());
  return context.print_either(
      *done, done->message.empty() ? tenant + ": restarting\n" : done->message + "\n");
}

Result<int> show_events(const Context& context, const std::string& tenant, std::uint32_t limit) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto events = admin->events({tenant, limit, 0});
  if (!events) return fail(events.error());
  return context.print_either(*events, events_text(events->events));
}

void add_logs(CLI::App& tenant, Context& context) {
  auto options = std::make_shared<LogsOptions>();
  CLI::App* const logs = tenant.add_subcommand("logs", "Show what a tenant's worker wrote");
  logs->add_option("TENANT", options->tenant, "Tenant id")->required();
  logs->add_option("-n,--lines", options->lines, "At most this many of the newest lines (256)")
      ->check(CLI::Range(1, 256));
  logs->add_flag("-f,--follow", options->follow, "Go on with new lines until interrupted");
  logs->callback([&context, options] {
    context.action = [&context, options] { return show_logs(context, *options); };
  });
}

void add_events(CLI::App& tenant, Context& context) {
  struct Options {
    std::string tenant;
    std::uint32_t lines = 50;
  };
  auto options = std::make_shared<Options>();
  CLI::App* const events =
      tenant.add_subcommand("events", "Show starts, deaths, causes and configuration changes");
  events->add_option("TENANT", options->tenant, "Tenant id; all without");
  events->add_option("-n,--lines", options->lines, "At most this many of the newest (256)")
      ->check(CLI::Range(1, 256));
  events->callback([&context, options] {
    context.action = [&context, options] {
      return show_events(context, options->tenant, options->lines);
    };
  });
}

}  // namespace

Result<AdminTenants> fetch_tenants(AdminClient& admin, const std::string& tenant) {
  AdminTenants all;
  AdminTenantsRequest request{tenant, ""};
  for (;;) {
    auto page = admin.tenants(request);
    if (!page) return fail(page.error());
    for (TenantInfo& info : page->tenants) all.tenants.push_back(std::move(info));
    if (!page->more || all.tenants.empty() || request.after_tenant >= all.tenants.back().id) {
      return all;
    }
    request.after_tenant = all.tenants.back().id;
  }
}

void add_tenant_commands(CLI::App& app, Context& context) {
  CLI::App* const tenant = app.add_subcommand("tenant", "Look at and restart tenants");
  tenant->require_subcommand(1);
  tenant->add_subcommand("list", "List all tenants")->callback([&context] {
    context.action = [&context] { return list_tenants(context); };
  });
  auto shown = std::make_shared<std::string>();
  CLI::App* const status = tenant->add_subcommand("status", "Show one tenant, or all");
  status->add_option("TENANT", *shown, "Tenant id; all without");
  status->callback([&context, shown] {
    context.action = [&context, shown] { return show_status(context, *shown); };
  });
  auto restarted = std::make_shared<std::string>();
  CLI::App* const restart =
      tenant->add_subcommand("restart", "Restart a worker at once, also out of quarantine");
  restart->add_option("TENANT", *restarted, "Tenant id")->required();
  restart->callback([&context, restarted] {
    context.action = [&context, restarted] { return restart_tenant(context, *restarted); };
  });
  add_logs(*tenant, context);
  add_events(*tenant, context);
  add_retention_command(*tenant, context);
}

}  // namespace tenantd
