// Command: verify, which shows that the isolation of tenants is what their plans promise.
#include <algorithm>
#include <memory>

#include "client/tenantctl/commands/context.h"

namespace tenantd {
namespace {

// One verification takes about a second, and others may be before it.
constexpr std::uint64_t least_timeout_ms = 120'000;
constexpr int violated_exit = 1;

struct VerifyOptions {
  std::string tenant;
  bool all = false;
  std::vector<std::string> checks;
  bool history = false;
  std::uint32_t lines = 50;
};

Result<int> show_history(const Context& context, const VerifyOptions& options) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  const auto past = admin->verifications({options.tenant, options.lines});
  if (!past) return fail(past.error());
  return context.print_either(*past, verifications_text(past->verifications));
}

// One after another; a tenant that goes away meanwhile is no failure of `--all`.
Result<int> verify_tenants(const Context& context, const VerifyOptions& options) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  std::vector<std::string> ids = {options.tenant};
  if (options.all) {
    const auto tenants = fetch_tenants(*admin, "");
    if (!tenants) return fail(tenants.error());
    ids.clear();
    for (const TenantInfo& info : tenants->tenants) ids.push_back(info.id);
  }
  Json json;
  Json& list = json["verifications"] = Json::array();
  bool all_passed = true;
  std::string text;
  for (const std::string& id : ids) {
    const auto report = admin->verify({id, options.checks});
    if (!report && options.all && report.error().code == ErrorCode::not_found) continue;
    if (!report) return fail(report.error());
    all_passed = all_passed && report->all_passed;
    list.push_back(to_json(*report));
    text += verification_text(*report, context.colored());
  }
  if (text.empty()) text = "no tenants\n";
  const std::string output =
      !context.options.json ? text : json_text(options.all ? json : list.front());
  const auto printed = context.print(output);
  if (!printed) return printed;
  return all_passed ? 0 : violated_exit;
}

}  // namespace

void add_verify_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* const verify =
      app.add_subcommand("verify", "Show that tenants are isolated as their plans promise");
  CLI::Option* const tenant = verify->add_option("TENANT", options->tenant, "Tenant id");
  CLI::Option* const all = verify->add_flag("--all", options->all, "Every tenant");
  all->excludes(tenant);
  verify
      ->add_option("--check", options->checks,
                   "Only this: database, cache, network, process or resource; repeatable")
      ->check(CLI::IsMember({"database", "cache", "network", "process", "resource"}))
      ->allow_extra_args(false);
  CLI::Option* const history = verify->add_flag(
      "--history", options->history, "Show what earlier verifications found, and verify nothing");
  history->excludes(all);
  verify->add_option("-n,--lines", options->lines, "Of the history, at most this many (256)")
      ->check(CLI::Range(1, 256));
  verify->callback([&context, options] {
    if (options->tenant.empty() && !options->all) {
      throw CLI::RequiredError("TENANT or --all");
    }
    context.options.timeout_ms = std::max(context.options.timeout_ms, least_timeout_ms);
    context.action = [&context, options] {
      return options->history ? show_history(context, *options) : verify_tenants(context, *options);
    };
  });
}

}  // namespace tenantd
