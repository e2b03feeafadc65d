// Command: status, the short form of tenant status, and the posture of live workers.
#include <memory>

#include "client/tenantctl/commands/context.h"

namespace tenantd {
namespace {

Result<int> show_posture(const Context& context, const std::string& tenant) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto tenants = fetch_tenants(*admin, tenant);
  if (!tenants) return fail(tenants.error());
  Json json;
  Json& list = json["postures"] = Json::array();
  std::string text;
  for (const TenantInfo& info : tenants->tenants) {
    // Nobody to look at, or a worker that is listed itself.
    if (tenant.empty() && (info.pid == 0 || !info.worker_id.empty())) continue;
    const auto posture = admin->posture(info.id);
    if (!posture) return fail(posture.error());
    list.push_back(to_json(*posture));
    text += posture_text(*posture, context.colored());
  }
  if (text.empty()) text = "no worker is running\n";
  return context.print(context.options.json ? json_text(json) : text);
}

}  // namespace

Result<int> show_status(const Context& context, const std::string& tenant) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto daemon = admin->daemon();
  if (!daemon) return fail(daemon.error());
  const auto tenants = fetch_tenants(*admin, tenant);
  if (!tenants) return fail(tenants.error());
  if (context.options.json) {
    Json json;
    json["daemon"] = to_json(*daemon);
    json["tenants"] = to_json(*tenants)["tenants"];
    return context.print(json_text(json));
  }
  const bool colored = context.colored();
  std::string text = daemon_text(*daemon, colored) + "\n";
  text += tenant.empty() || tenants->tenants.empty()
              ? tenants_text(tenants->tenants, colored)
              : tenant_detail_text(tenants->tenants.front(), colored);
  return context.print(text);
}

void add_status_command(CLI::App& app, Context& context) {
  struct Options {
    std::string tenant;
    bool posture = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* const status = app.add_subcommand("status", "Show the daemon and its tenants");
  status->add_option("TENANT", options->tenant, "Tenant id; all without");
  status->add_flag("--posture", options->posture,
                   "Show the confinement of live workers, as the kernel has it");
  status->callback([&context, options] {
    context.action = [&context, options] {
      return options->posture ? show_posture(context, options->tenant)
                              : show_status(context, options->tenant);
    };
  });
}

}  // namespace tenantd
