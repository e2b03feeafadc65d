// Commands: routes add | remove | show | list | status.
#include <cstdio>
#include <memory>
#include <optional>

#include "client/tenantctl/commands/context.h"
#include "client/tenantctl/format/printable.h"
#include "client/tenantctl/routes/edit_batches.h"
#include "client/tenantctl/routes/rule_lines.h"

namespace tenantd {

Result<RoutesPage> fetch_routes(Client& client, RoutesPageRequest request) {
  RoutesPage all;
  for (;;) {
    auto page = client.routes_page(request);
    if (!page) return fail(page.error());
    for (RouteListing& listing : page->routes) {
      if (!all.routes.empty() && all.routes.back().route.id == listing.route.id) {
        auto& utterances = all.routes.back().route.utterances;
        for (auto& utterance : listing.route.utterances) utterances.push_back(std::move(utterance));
      } else {
        all.routes.push_back(std::move(listing));
      }
    }
    all.snapshot_version = page->snapshot_version;
    if (!page->more) return all;
    if (page->next_route == request.after_route &&
        page->next_utterance <= request.after_utterance) {
      return fail(ErrorCode::protocol_error, "the worker's pages do not go on");
    }
    request.after_route = page->next_route;
    request.after_utterance = page->next_utterance;
  }
}

namespace {

struct AddOptions {
  std::string tenant;
  RouteMessage route;
  std::vector<std::string> utterances;
  std::optional<float> threshold;
  std::optional<float> margin;
  std::vector<std::string> keywords;
  std::vector<std::string> patterns;
  std::vector<std::string> always;
  std::vector<std::string> always_patterns;
  std::vector<std::string> never;
  std::vector<std::string> never_patterns;
  std::string aggregation;
};

Error no_such_route(const std::string& tenant, const std::string& route) {
  Error error;
  error.code = ErrorCode::not_found;
  error.tenant = tenant;
  error.field = "id";
  error.message = "no route \"" + route + "\"";
  return error;
}

Result<int> edit_and_print(const Context& context, Client& client, RoutesEdit edit,
                           const std::string& what) {
  const auto edited = client.edit_routes(edit);
  if (!edited) return fail(edited.error());
  return context.print_either(*edited, what + ": the tenant has " + std::to_string(edited->routes) +
                                           " routes with " + std::to_string(edited->utterances) +
                                           " utterances\n");
}

Result<int> add_route(const Context& context, const AddOptions& options) {
  RouteMessage route = options.route;
  for (const std::string& text : options.utterances) route.utterances.push_back({text, {}, {}});
  using enum RuleModeCode;
  const auto add_rules = [&route](RuleKindCode kind, RuleModeCode mode,
                                  const std::vector<std::string>& texts) {
    for (const std::string& text : texts) route.rules.push_back({kind, mode, text});
  };
  add_rules(RuleKindCode::keyword, signal, options.keywords);
  add_rules(RuleKindCode::pattern, signal, options.patterns);
  add_rules(RuleKindCode::keyword, always, options.always);
  add_rules(RuleKindCode::pattern, always, options.always_patterns);
  add_rules(RuleKindCode::keyword, never, options.never);
  add_rules(RuleKindCode::pattern, never, options.never_patterns);
  route.aggregation = aggregation_code(options.aggregation).value_or(0);
  route.has_threshold = options.threshold.has_value();
  route.threshold = options.threshold.value_or(0.0F);
  route.has_margin = options.margin.has_value();
  route.margin = options.margin.value_or(0.0F);
  auto client = context.connect(options.tenant);
  if (!client) return fail(client.error());
  auto edits =
      split_route(std::move(route), EditKind::add, batch_limits(client->welcome().max_batch_size));
  if (!edits) return fail(edits.error());
  if (edits->size() > 1) {
    return fail(ErrorCode::invalid_argument, "the route does not fit one message",
                "import it from a file");
  }
  return edit_and_print(context, *client, {std::move(*edits)}, "added");
}

Result<int> remove_route(const Context& context, const std::string& tenant, const std::string& id) {
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  RouteEditMessage edit{EditKind::remove, {}};
  edit.route.id = id;
  return edit_and_print(context, *client, {{std::move(edit)}}, "removed");
}

Result<int> show_route(const Context& context, const std::string& tenant, const std::string& id) {
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  RoutesPageRequest request;
  request.only_route = id;
  request.with_utterances = true;
  const auto page = fetch_routes(*client, std::move(request));
  if (!page) return fail(page.error());
  if (page->routes.empty()) return fail(no_such_route(tenant, id));
  return context.print_either(page->routes.front(), route_detail_text(page->routes.front()));
}

Result<int> list_routes(const Context& context, const std::string& tenant) {
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  const auto page = fetch_routes(*client, {});
  if (!page) return fail(page.error());
  if (!context.options.json) return context.print(routes_text(page->routes));
  Json json;
  json["routes"] = to_json(*page)["routes"];
  json["snapshot_version"] = page->snapshot_version;
  return context.print(json_text(json));
}

std::string percent(double share) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

std::string index_text(const TenantStats& stats) {
  if (stats.index_state.empty() || stats.index_state == "off") return {};
  std::string text = "index: " + printable(stats.index_state);
  if (stats.index_state == "building") text += ' ' + percent(stats.index_progress);
  if (!stats.index_reason.empty()) text += ", " + printable(stats.index_reason);
  text += '\n';
  if (stats.index_sampled == 0) return text;
  text += "  recall@1 " + percent(stats.index_recall) + ", at least " +
          percent(stats.index_recall_at_least) + ", of " + std::to_string(stats.index_sampled) +
          " vectors of version " + std::to_string(stats.index_version) + '\n';
  text += "  " + std::to_string(stats.index_lists) + " lists, about " +
          std::to_string(stats.index_rows_read) + " vectors read a query and " +
          std::to_string(stats.index_outside) + " outside of lists, " +
          std::to_string(stats.index_bytes) + " bytes\n";
  return text;
}

std::string status_text(const TenantStats& stats) {
  std::string text = std::to_string(stats.routes) + " routes with " +
                     std::to_string(stats.utterances) + " utterances, version " +
                     std::to_string(stats.snapshot_version) + '\n';
  text += "memory of the routes: " + memory_text(stats.route_bytes) + '\n';
  if (stats.calibrated_on > 0) {
    text += "confidence fitted on " + std::to_string(stats.calibrated_on) +
            " utterances, calibration error " + percent(stats.calibration_error) + '\n';
  }
  text += "encoder: " + (stats.encoder.empty() ? "no vector yet" : printable(stats.encoder)) + '\n';
  if (stats.reencoding_total > 0) {
    text += "encoding again: " + std::to_string(stats.reencoded) + " of " +
            std::to_string(stats.reencoding_total) + '\n';
  }
  if (!stats.reencoding_problem.empty()) {
    text += "encoding again does not go on: " + printable(stats.reencoding_problem) + '\n';
  }
  text += index_text(stats);
  if (stats.store_degraded) text += "store degraded: " + printable(stats.store_reason) + '\n';
  return text;
}

Result<int> show_routes_status(const Context& context, const std::string& tenant) {
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  const auto stats = client->stats();
  if (!stats) return fail(stats.error());
  return context.print_either(*stats, status_text(*stats));
}

void add_add(CLI::App& routes, Context& context) {
  auto options = std::make_shared<AddOptions>();
  CLI::App* const add = routes.add_subcommand("add", "Add a route");
  add->add_option("TENANT", options->tenant, "Tenant id")->required();
  add->add_option("ID", options->route.id, "The new route's id")->required();
  const auto add_list = [add](const char* name, std::vector<std::string>& into, const char* about) {
    add->add_option(name, into, about)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  add_list("--utterance", options->utterances, "An example sentence; may come often");
  add_list("--keyword", options->keywords, "Words that speak for it; may come often");
  add_list("--pattern", options->patterns, "A regular expression (RE2) that speaks for it");
  add_list("--always", options->always, "Words that select it, whatever else there is");
  add_list("--always-pattern", options->always_patterns, "A regular expression that selects it");
  add_list("--never", options->never, "Words that exclude it");
  add_list("--never-pattern", options->never_patterns, "A regular expression that excludes it");
  add->add_option("--threshold", options->threshold, "Confidence below which it does not match")
      ->check(CLI::Range(0.0, 1.0));
  add->add_option("--margin", options->margin, "Lead in confidence below which it does not answer")
      ->check(CLI::Range(0.0, 1.0));
  add->add_option("--description", options->route.description, "For people");
  add_list("--tag", options->route.tags, "A tag; may come often");
  add->add_option("--priority", options->route.priority,
                  "The higher goes first among equals and among rules that select (0)");
  add->add_option("--aggregation", options->aggregation, "Its own, instead of the tenant's")
      ->check(CLI::IsMember({"max", "mean", "top_k_mean", "centroid", "prototype_mix"}));
  add->callback([&context, options] {
    if (options->utterances.empty() && options->keywords.empty() && options->patterns.empty() &&
        options->always.empty() && options->always_patterns.empty()) {
      throw CLI::RequiredError("--utterance, or a rule that can find the route");
    }
    context.action = [&context, options] { return add_route(context, *options); };
  });
}

// A command about one route.
void add_one(CLI::App& routes, Context& context, const char* name, const char* about,
             Result<int> (*run)(const Context&, const std::string&, const std::string&)) {
  struct Options {
    std::string tenant;
    std::string route;
  };
  auto options = std::make_shared<Options>();
  CLI::App* const command = routes.add_subcommand(name, about);
  command->add_option("TENANT", options->tenant, "Tenant id")->required();
  command->add_option("ID", options->route, "Route id")->required();
  command->callback([&context, options, run] {
    context.action = [&context, options, run] {
      return run(context, options->tenant, options->route);
    };
  });
}

// A command about all routes of a tenant.
void add_all(CLI::App& routes, Context& context, const char* name, const char* about,
             Result<int> (*run)(const Context&, const std::string&)) {
  auto tenant = std::make_shared<std::string>();
  CLI::App* const command = routes.add_subcommand(name, about);
  command->add_option("TENANT", *tenant, "Tenant id")->required();
  command->callback([&context, tenant, run] {
    context.action = [&context, tenant, run] { return run(context, *tenant); };
  });
}

}  // namespace

void add_routes_commands(CLI::App& app, Context& context) {
  CLI::App* const routes = app.add_subcommand("routes", "Edit a tenant's routes while it runs");
  routes->require_subcommand(1);
  add_add(*routes, context);
  add_one(*routes, context, "remove", "Remove a route", remove_route);
  add_one(*routes, context, "show", "Show a route and its utterances", show_route);
  add_all(*routes, context, "list", "List routes", list_routes);
  add_all(*routes, context, "status", "How many, of which encoder, and how far a change of it is",
          show_routes_status);
  add_import_command(*routes, context);
  add_export_command(*routes, context);
  add_evaluate_command(*routes, context);
  add_lint_command(*routes, context);
  add_fit_command(*routes, context);
}

}  // namespace tenantd
