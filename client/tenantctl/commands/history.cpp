// Commands: executions, tenant retention.
//
// Runs in: tenantctl, for operators.
#include <algorithm>
#include <memory>

#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/format/table.h"
#include "shared/base/clock.h"
#include "shared/base/units.h"

namespace tenantd {
namespace {

constexpr const char* outcome_names[] = {"matched", "fallback", "error", "cached"};
constexpr std::string_view deletion_event = "records_deleted";

std::string time_text(std::int64_t time_us) {
  return time_us == 0 ? "-" : format_utc(time_us / 1000);
}

struct ExecutionsOptions {
  std::string tenant;
  std::string since;
  std::string until;
  std::uint64_t since_ms = 0;
  std::uint64_t until_ms = 0;
  std::uint32_t limit = 50;
};

Json execution_json(const Execution& execution) {
  Json json = to_json(execution);
  json["outcome"] = outcome_names[static_cast<std::size_t>(execution.outcome)];
  return json;
}

std::string executions_text(const Executions& all) {
  Table table({"TIME", "REQUEST", "ROUTE", "CONFIDENCE", "LATENCY", "USER", "OUTCOME"});
  for (const Execution& execution : all.executions) {
    char confidence[16];
    (void)std::snprintf(confidence, sizeof confidence, "%.3f",
                        static_cast<double>(execution.confidence));
    table.add({time_text(execution.time_us), std::to_string(execution.request_id),
               execution.route.empty() ? "-" : execution.route, confidence,
               std::to_string(execution.latency_us) + " µs", execution.user,
               outcome_names[static_cast<std::size_t>(execution.outcome)]});
  }
  std::string text = table.text(false);
  if (all.more) text += "there are older ones: see --limit\n";
  if (all.dropped > 0) text += std::to_string(all.dropped) + " were not recorded\n";
  return text;
}

// Pages are joined.
Result<Executions> fetch(Client& client, ExecutionsRequest request) {
  Executions all;
  const std::uint32_t limit = request.limit;
  for (;;) {
    request.limit = limit - static_cast<std::uint32_t>(all.executions.size());
    auto page = client.executions(request);
    if (!page) return fail(page.error());
    all.dropped = page->dropped;
    all.more = page->more;
    for (Execution& execution : page->executions) all.executions.push_back(std::move(execution));
    if (!page->more || page->executions.empty() || all.executions.size() >= limit) return all;
    request.after_us = all.executions.back().time_us;
    request.after_serial = all.executions.back().serial;
  }
}

Result<int> show_executions(const Context& context, const ExecutionsOptions& options) {
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  const std::int64_t now_us = wall_clock_us();
  const auto ago = [now_us](std::uint64_t ms) {
    return now_us - static_cast<std::int64_t>(ms) * 1000;
  };
  ExecutionsRequest request;
  request.limit = options.limit;
  if (!options.since.empty()) request.since_us = ago(options.since_ms);
  if (!options.until.empty()) request.until_us = ago(options.until_ms);
  const auto all = fetch(*client, request);
  if (!all) return fail(all.error());
  if (!context.options.json) return context.print(executions_text(*all));
  Json json;
  json["executions"] = Json::array();
  for (const Execution& execution : all->executions) {
    json["executions"].push_back(execution_json(execution));
  }
  json["more"] = all->more;
  json["dropped"] = all->dropped;
  return context.print(json_text(json));
}

// Control's own deletions of a tenant's events are events; the newest of them.
Result<std::vector<EventInfo>> ledger_deletions(const Context& context, const std::string& tenant) {
  auto admin = context.connect_admin();
  if (!admin) return fail(admin.error());
  auto events = admin->events({tenant, 256, 0});
  if (!events) return fail(events.error());
  std::vector<EventInfo> found;
  for (EventInfo& event : events->events) {
    if (event.event == deletion_event) found.push_back(std::move(event));
  }
  return found;
}

std::string retention_text(const Retention& report, const std::vector<EventInfo>& ledger) {
  std::string text = "retention: ";
  text += report.retention_days == 0 ? "no retention_days is set, nothing is deleted by age"
                                     : std::to_string(report.retention_days) + " days";
  text += "\nexecutions (the tenant's database): " + std::to_string(report.executions) + " of " +
          std::to_string(report.max_executions) + ", oldest " + time_text(report.oldest_us) +
          ", newest " + time_text(report.newest_us) + ", sample " + std::to_string(report.sample) +
          "\nlast run: " + time_text(report.last_run_us) +
          "\nnext run: " + time_text(report.next_run_us) + "\n";
  if (report.dropped > 0) text += std::to_string(report.dropped) + " were not recorded\n";
  Table table({"DELETED AT", "WHAT", "FROM", "COUNT", "OLDEST", "NEWEST"});
  for (const DeletionInfo& run : report.deletions) {
    table.add({time_text(run.time_us), run.what, "database", std::to_string(run.count),
               time_text(run.oldest_us), time_text(run.newest_us)});
  }
  for (const EventInfo& event : ledger) {
    table.add({format_utc(event.time_ms), "events", "ledger", event.detail, "", ""});
  }
  return text + table.text(false);
}

// A request deletes a bounded part: the next one goes on.
Result<Retention> fetch_retention(Client& client, bool run) {
  for (;;) {
    auto report = client.retention(run);
    if (!report || !report->more) return report;
  }
}

Result<int> show_retention(const Context& context, const std::string& tenant, bool run) {
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  const auto report = fetch_retention(*client, run);
  if (!report) return fail(report.error());
  const auto ledger = ledger_deletions(context, tenant);
  if (!ledger) return fail(ledger.error());
  if (!context.options.json) return context.print(retention_text(*report, *ledger));
  Json json = to_json(*report);
  json["ledger_deletions"] = Json::array();
  for (const EventInfo& event : *ledger) json["ledger_deletions"].push_back(to_json(event));
  return context.print(json_text(json));
}

// A duration before now.
CLI::Option* add_ago(CLI::App& command, const char* name, const char* what, std::string& text,
                     std::uint64_t& ms) {
  return command.add_option(name, text, what)->check([&ms](const std::string& value) {
    const auto parsed = parse_duration_ms(value);
    if (!parsed) return parsed.error().message;
    ms = *parsed;
    return std::string();
  });
}

}  // namespace

void add_executions_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<ExecutionsOptions>();
  CLI::App* const command = app.add_subcommand(
      "executions", "Show what was routed, newest first, where that is recorded");
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  add_ago(*command, "--since", "Not older than this, such as 1h", options->since,
          options->since_ms);
  add_ago(*command, "--until", "Older than this", options->until, options->until_ms);
  command->add_option("-n,--limit", options->limit, "At most this many (50)")
      ->check(CLI::Range(1, 1'000'000));
  command->callback([&context, options] {
    context.action = [&context, options] { return show_executions(context, *options); };
  });
}

void add_retention_command(CLI::App& tenant, Context& context) {
  struct Options {
    std::string tenant;
    bool run = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* const command = tenant.add_subcommand(
      "retention", "Show what is recorded of a tenant, for how long, and what was deleted");
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  command->add_flag("--run", options->run, "Delete now what is due");
  command->callback([&context, options] {
    context.action = [&context, options] {
      return show_retention(context, options->tenant, options->run);
    };
  });
}

}  // namespace tenantd
