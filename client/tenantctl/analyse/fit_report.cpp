#include "client/tenantctl/analyse/fit_report.h"

#include <array>
#include <cstdio>

#include "client/tenantctl/analyse/metrics.h"
#include "client/tenantctl/format/printable.h"

namespace tenantd {
namespace {

using Json = nlohmann::ordered_json;

// In the order of Aggregation, as the tenant's file has them.
constexpr std::array<const char*, 6> aggregation_names{"max",      "mean",          "top_k_mean",
                                                       "centroid", "prototype_mix", "auto"};

std::string number(double value) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.4g", value);
  // TOML tells reals from integers by the point.
  std::string number = text.data();
  return number.find('.') == number.npos ? number + ".0" : number;
}

std::string percent(double share) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%.1f %%", 100 * share);
  return text.data();
}

std::string row(const char* name, double before, double after) {
  std::array<char, 128> text{};
  (void)std::snprintf(text.data(), text.size(), "  %-22s %9s -> %s\n", name,
                      percent(before).c_str(), percent(after).c_str());
  return text.data();
}

std::string heading(const FitReport& report) {
  std::string text = "objective: ";
  if (report.options.out_of_scope_recall) {
    text += "in scope as many as possible, with " + percent(*report.options.out_of_scope_recall) +
            " of what is out of scope refused\n";
  } else {
    text += "as many right decisions as possible\n";
  }
  const FitMeasures& before = report.result.before;
  text += "judged on: " + std::to_string(before.questions) + " questions, " +
          (report.on_data ? "the labelled sentences"
                          : "the tenant's own utterances, left out; strangers are what the other "
                            "routes make of them") +
          "\n";
  text += "cross-validated, " + std::to_string(report.options.folds) +
          " folds: no question judges a choice that was made on it\n\n";
  return text;
}

Json measures_json(const FitMeasures& measures) {
  Json json;
  json["accuracy"] = rounded(measures.accuracy());
  json["in_scope_accuracy"] = rounded(measures.in_scope_accuracy());
  json["out_of_scope_recall"] = rounded(measures.out_of_scope_recall());
  return json;
}

Json threshold_json(const std::optional<float>& threshold) {
  return threshold ? Json(rounded(static_cast<double>(*threshold))) : Json(nullptr);
}

std::string threshold_text(const std::optional<float>& threshold) {
  return threshold ? number(static_cast<double>(*threshold)) : std::string("the tenant's");
}

}  // namespace

std::vector<TomlKey> changed_keys(const FitReport& report) {
  std::vector<TomlKey> keys;
  const FitPlan& plan = report.result.plan;
  if (plan.threshold != report.before.threshold) {
    keys.push_back({"threshold", number(static_cast<double>(plan.threshold))});
  }
  const TrialSettings& before = report.candidates[report.before.candidate];
  const TrialSettings& after = report.candidates[plan.candidate];
  if (after.dense_weight != before.dense_weight) {
    keys.push_back({"dense_weight", number(static_cast<double>(after.dense_weight))});
  }
  if (after.lexical_weight != before.lexical_weight) {
    keys.push_back({"lexical_weight", number(static_cast<double>(after.lexical_weight))});
  }
  if (after.aggregation != before.aggregation && after.aggregation < aggregation_names.size()) {
    keys.push_back({"aggregation",
                    std::string("\"").append(aggregation_names[after.aggregation]).append("\"")});
  }
  if (after.top_k != before.top_k) keys.push_back({"top_k", std::to_string(after.top_k)});
  if (after.prototype_weight_e4 != before.prototype_weight_e4) {
    keys.push_back({"prototype_weight", number(after.prototype_weight_e4 / 1e4)});
  }
  return keys;
}

std::vector<RouteThreshold> changed_routes(const FitReport& report) {
  std::vector<RouteThreshold> changed;
  const auto& before = report.before.route_thresholds;
  const auto& after = report.result.plan.route_thresholds;
  for (std::uint32_t route = 0; route < after.size(); ++route) {
    if (after[route] != before[route]) changed.push_back({route, before[route], after[route]});
  }
  return changed;
}

std::string fit_text(const FitReport& report) {
  const FitResult& result = report.result;
  std::string text = heading(report);
  text += "                            before -> after\n";
  text +=
      row("in scope, right", result.before.in_scope_accuracy(), result.after.in_scope_accuracy());
  text += row("out of scope, refused", result.before.out_of_scope_recall(),
              result.after.out_of_scope_recall());
  text += row("all, right", result.before.accuracy(), result.after.accuracy());
  text += "  confidence is off by " + percent(report.expected_error) +
          " on average before (ECE, utterances left out)\n\n";
  if (!result.is_better) {
    return text + "nothing to propose: no change is better by more than chance\n";
  }
  text +=
      (report.options.out_of_scope_recall ? "right in scope changes by " : "the objective gains ") +
      percent(result.gain) + ", 95 % interval " + percent(result.gain_low) + " to " +
      percent(result.gain_high) + "\n";
  const auto keys = changed_keys(report);
  if (!keys.empty()) {
    text += "\nin the tenant's file:\n\n  [router]\n";
    for (const TomlKey& key : keys) text += "  " + key.key + " = " + key.value + "\n";
  }
  const auto routes = changed_routes(report);
  if (!routes.empty()) text += "\nthresholds of routes:\n\n";
  for (const RouteThreshold& change : routes) {
    text += "  " + printable(report.routes[change.route]) + "  " + threshold_text(change.before) +
            " -> " + threshold_text(change.after) + "\n";
  }
  return text;
}

Json fit_json(const FitReport& report) {
  const FitResult& result = report.result;
  Json json;
  json["objective"] = report.options.out_of_scope_recall ? "out_of_scope_recall" : "accuracy";
  if (report.options.out_of_scope_recall) {
    json["out_of_scope_recall_wanted"] = *report.options.out_of_scope_recall;
  }
  json["questions"] = result.before.questions;
  json["folds"] = report.options.folds;
  json["seed"] = report.options.seed;
  json["expected_calibration_error"] = rounded(report.expected_error);
  json["before"] = measures_json(result.before);
  json["after"] = measures_json(result.after);
  json["is_better"] = result.is_better;
  json["gain"] = {{"mean", rounded(result.gain)},
                  {"low", rounded(result.gain_low)},
                  {"high", rounded(result.gain_high)}};
  json["router"] = Json::object();
  for (const TomlKey& key : changed_keys(report)) json["router"][key.key] = key.value;
  json["routes"] = Json::array();
  for (const RouteThreshold& change : changed_routes(report)) {
    json["routes"].push_back({{"route", report.routes[change.route]},
                              {"before", threshold_json(change.before)},
                              {"after", threshold_json(change.after)}});
  }
  return json;
}

}  // namespace tenantd
