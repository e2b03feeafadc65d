// Commands: routes evaluate, routes lint.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "client/tenantctl/analyse/analysis_report.h"
#include "client/tenantctl/commands/context.h"

namespace tenantd {
namespace {

JudgedQuery judge(const LabelledQuery& query, const RouteReply& reply) {
  JudgedQuery judged;
  // A label with the fallback's name says: out of scope.
  const bool is_fallback_label = reply.is_fallback && query.route == reply.best.route;
  if (!is_fallback_label) judged.expected = query.route;
  if (!reply.is_fallback) judged.decided = reply.best.route;
  const ScoredRoute* best = reply.is_fallback ? nullptr : &reply.best;
  if (best == nullptr && !reply.alternatives.empty()) best = &reply.alternatives.front();
  if (best != nullptr) {
    judged.best = best->route;
    judged.confidence = static_cast<double>(best->confidence);
  }
  return judged;
}

double percentile(std::vector<double>& values, double part) {
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

Result<int> evaluate_routes(const Context& context, const std::string& tenant,
                            const std::string& file) {
  const auto queries = read_labelled_file(file);
  if (!queries) return fail(queries.error());
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  std::vector<JudgedQuery> judged;
  std::vector<double> micros;
  std::string fallback;
  for (const LabelledQuery& query : *queries) {
    RouteRequest request;
    request.text = query.text;
    request.embedding = query.embedding;
    request.alternatives = 1;
    const auto start = std::chrono::steady_clock::now();
    const auto reply = client->route(request);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    if (!reply) return fail(reply.error());
    if (reply->is_fallback) fallback = reply->best.route;
    judged.push_back(judge(query, *reply));
    micros.push_back(took.count());
    if (judged.size() % 100 == 0 || judged.size() == queries->size()) {
      show_progress("queries", judged.size(), queries->size());
    }
  }
  // Known only once something fell back.
  for (JudgedQuery& query : judged) {
    if (!fallback.empty() && query.expected == fallback && query.best != fallback) {
      query.expected.clear();
    }
  }
  EvaluationReport report;
  report.evaluation = evaluate(judged);
  report.latency_p50_us = percentile(micros, 0.5);
  report.latency_p99_us = percentile(micros, 0.99);
  if (context.options.json) return context.print(json_text(evaluation_json(report)));
  return context.print(evaluation_text(report, context.colored()));
}

void normalise(std::vector<float>& vector) {
  double squares = 0;
  for (const float value : vector)
    squares += static_cast<double>(value) * static_cast<double>(value);
  if (squares == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& value : vector) value *= scale;
}

Result<int> lint(const Context& context, const std::string& tenant, const LintLimits& limits) {
  auto client = context.connect(tenant);
  if (!client) return fail(client.error());
  RoutesPageRequest request;
  request.with_utterances = true;
  request.with_embeddings = true;
  auto page = fetch_routes(*client, request);
  if (!page) return fail(page.error());
  std::vector<std::string> names;
  std::vector<LintUtterance> utterances;
  for (RouteListing& listing : page->routes) {
    // Rules alone find it: there is nothing to compare.
    if (listing.route.utterances.empty() && !listing.route.rules.empty()) continue;
    const auto route = static_cast<std::uint32_t>(names.size());
    names.push_back(listing.route.id);
    for (UtteranceMessage& utterance : listing.route.utterances) {
      normalise(utterance.embedding);
      utterances.push_back({route, std::move(utterance.text), std::move(utterance.embedding)});
    }
  }
  const auto findings = lint_routes(names, utterances, limits, [&utterances](std::size_t done) {
    show_progress("examples", done, utterances.size());
  });
  show_progress("examples", utterances.size(), utterances.size());
  auto printed =
      context.options.json
          ? context.print(json_text(lint_json(findings)))
          : context.print(lint_text(findings, names.size(), utterances.size(), context.colored()));
  if (!printed) return printed;
  return findings.empty() ? 0 : 1;
}

}  // namespace

void add_evaluate_command(CLI::App& routes, Context& context) {
  auto tenant = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();
  CLI::App* const command =
      routes.add_subcommand("evaluate", "Route labelled sentences and measure the decisions");
  command->add_option("TENANT", *tenant, "Tenant id")->required();
  command->add_option("FILE", *file, "sentence<TAB>route or JSON lines; - is standard input")
      ->required();
  command->callback([&context, tenant, file] {
    context.action = [&context, tenant, file] { return evaluate_routes(context, *tenant, *file); };
  });
}

void add_lint_command(CLI::App& routes, Context& context) {
  auto tenant = std::make_shared<std::string>();
  auto limits = std::make_shared<LintLimits>();
  CLI::App* const command = routes.add_subcommand(
      "lint", "Find duplicated, misplaced and too few examples, overlapping routes");
  command->add_option("TENANT", *tenant, "Tenant id")->required();
  command->add_option("--min-examples", limits->min_examples, "Fewer are too few (5)");
  command->callback([&context, tenant, limits] {
    context.action = [&context, tenant, limits] { return lint(context, *tenant, *limits); };
  });
}

}  // namespace tenantd
