#include "client/tenantctl/analyse/analysis_report.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "client/tenantctl/format/printable.h"
#include "client/tenantctl/format/table.h"

namespace tenantd {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t shown_confusions = 10;

std::string format(const char* form, double value) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), form, value);
  return text.data();
}

double share(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return format("%.1f %%", 100 * share(part, whole)) + " (" + std::to_string(part) + " of " +
         std::to_string(whole) + ")";
}

std::string or_name(const std::string& route, const char* none) {
  return route.empty() ? none : route;
}

std::string quoted(const std::string& text, char mark) {
  return std::string(1, mark).append(printable(text)).append(1, mark);
}

std::string summary_text(const EvaluationReport& report) {
  const Evaluation& found = report.evaluation;
  std::string text =
      "right            " + percent(found.right, found.in_scope + found.out_of_scope);
  text += "\nin scope         " + percent(found.in_scope_right, found.in_scope);
  text += "; whatever the confidence " + percent(found.closed_set_right, found.in_scope);
  text += "\nout of scope     " + percent(found.out_of_scope_found, found.out_of_scope);
  const bool both = found.in_scope > 0 && found.out_of_scope > 0;
  text += "\nAUROC            " + (both ? format("%.3f", found.auroc) : std::string("-")) +
          " (confidence, in scope against out of scope)";
  text += "\ncalibration      " + format("%.3f", found.calibration_error) +
          " (expected calibration error, 10 bins)";
  text += "\nlatency          p50 " + format("%.1f", report.latency_p50_us) + " us, p99 " +
          format("%.1f", report.latency_p99_us) + " us, one at a time\n";
  return text;
}

}  // namespace

std::string evaluation_text(const EvaluationReport& report, bool colored) {
  std::string text = summary_text(report);
  Table routes({"ROUTE", "QUERIES", "PRECISION", "RECALL", "F1"});
  for (const auto& [name, measures] : report.evaluation.routes) {
    const Color color = measures.f1() < 0.5   ? Color::bad
                        : measures.f1() < 0.8 ? Color::warning
                                              : Color::none;
    routes.add({name,
                std::to_string(measures.expected),
                format("%.3f", measures.precision()),
                format("%.3f", measures.recall()),
                {format("%.3f", measures.f1()), color}});
  }
  text.append(1, '\n').append(routes.text(colored));
  const auto confusions = worst_confusions(report.evaluation, shown_confusions);
  if (confusions.empty()) return text;
  Table wrong({"EXPECTED", "TAKEN", "QUERIES"});
  for (const auto& [pair, count] : confusions) {
    wrong.add({or_name(pair.first, "(out of scope)"), or_name(pair.second, "(fallback)"),
               std::to_string(count)});
  }
  text.append(1, '\n').append(wrong.text(colored));
  const std::size_t more = report.evaluation.confusions.size() - confusions.size();
  if (more > 0)
    text.append("and ").append(std::to_string(more)).append(" more kinds (see --json)\n");
  return text;
}

Json evaluation_json(const EvaluationReport& report) {
  const Evaluation& found = report.evaluation;
  Json json;
  json["in_scope"] = found.in_scope;
  json["out_of_scope"] = found.out_of_scope;
  json["accuracy"] = rounded(share(found.right, found.in_scope + found.out_of_scope));
  json["in_scope_accuracy"] = rounded(share(found.in_scope_right, found.in_scope));
  json["closed_set_accuracy"] = rounded(share(found.closed_set_right, found.in_scope));
  json["out_of_scope_recall"] = rounded(share(found.out_of_scope_found, found.out_of_scope));
  json["auroc"] = rounded(found.auroc);
  json["calibration_error"] = rounded(found.calibration_error);
  json["latency_p50_us"] = std::round(report.latency_p50_us * 10) / 10;
  json["latency_p99_us"] = std::round(report.latency_p99_us * 10) / 10;
  json["routes"] = Json::array();
  for (const auto& [name, measures] : found.routes) {
    json["routes"].push_back({{"route", name},
                              {"expected", measures.expected},
                              {"decided", measures.decided},
                              {"right", measures.right},
                              {"precision", rounded(measures.precision())},
                              {"recall", rounded(measures.recall())},
                              {"f1", rounded(measures.f1())}});
  }
  json["confusions"] = Json::array();
  for (const auto& [pair, count] : worst_confusions(found, found.confusions.size())) {
    Json line;
    line["expected"] = pair.first.empty() ? Json(nullptr) : Json(pair.first);
    line["decided"] = pair.second.empty() ? Json(nullptr) : Json(pair.second);
    line["queries"] = count;
    json["confusions"].push_back(std::move(line));
  }
  json["reliability"] = Json::array();
  for (const ReliabilityBin& bin : found.reliability) {
    json["reliability"].push_back({{"queries", bin.count},
                                   {"confidence", rounded(bin.mean_confidence)},
                                   {"accuracy", rounded(bin.accuracy)}});
  }
  return json;
}

std::string lint_text(std::span<const LintFinding> findings, std::size_t routes,
                      std::size_t examples, bool colored) {
  std::string text;
  for (const LintFinding& finding : findings) {
    const std::string route = quoted(finding.route, '"');
    const std::string other = quoted(finding.other, '"');
    const std::string utterance = quoted(finding.utterance, '\'');
    const std::string similarity = format("%.3f", finding.similarity);
    const std::string kind(lint_kind_name(finding.kind));
    const bool severe = finding.kind == LintKind::unreachable || finding.kind == LintKind::overlap;
    text += painted(kind, severe ? Color::bad : Color::warning, colored) + ": ";
    switch (finding.kind) {
      case LintKind::duplicate:
        text += route + " and " + other + " both have " + utterance + " (similarity " + similarity +
                "): keep it in one place";
        break;
      case LintKind::misplaced:
        text += utterance + " of " + route + " is nearer to " +
                quoted(finding.other_utterance, '\'') + " of " + other + " (" + similarity +
                ") than to any of its own: move it, or add examples like it";
        break;
      case LintKind::overlap:
        text += route + " and " + other + ": " + format("%.0f %%", 100 * finding.share) +
                " of their examples are nearer to the other: join them, or tell them apart";
        break;
      case LintKind::few_examples:
        text += route + " has too few examples to be found by: add some";
        break;
      case LintKind::unreachable:
        text += route + " is nobody's nearest: no example leads to it";
        break;
    }
    text += "\n";
  }
  return text + std::to_string(findings.size()) + " findings in " + std::to_string(routes) +
         " routes with " + std::to_string(examples) + " examples\n";
}

Json lint_json(std::span<const LintFinding> findings) {
  Json json = Json::array();
  for (const LintFinding& finding : findings) {
    Json line;
    line["kind"] = lint_kind_name(finding.kind);
    line["route"] = finding.route;
    if (!finding.other.empty()) line["other"] = finding.other;
    if (!finding.utterance.empty()) line["utterance"] = finding.utterance;
    if (!finding.other_utterance.empty()) line["other_utterance"] = finding.other_utterance;
    if (finding.similarity != 0) line["similarity"] = rounded(finding.similarity);
    if (finding.share != 0) line["share"] = rounded(finding.share);
    json.push_back(std::move(line));
  }
  return json;
}

}  // namespace tenantd
