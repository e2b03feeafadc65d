// What `routes evaluate` and `routes lint` print, for people and as JSON.
//
// Runs in: tenantctl. Pure functions; texts end with a newline.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "client/tenantctl/analyse/lint.h"
#include "client/tenantctl/analyse/metrics.h"

namespace tenantd {

struct EvaluationReport {
  Evaluation evaluation;
  double latency_p50_us = 0;
  double latency_p99_us = 0;
};

[[nodiscard]] std::string evaluation_text(const EvaluationReport& report, bool colored);
[[nodiscard]] nlohmann::ordered_json evaluation_json(const EvaluationReport& report);

// `examples`: how many utterances were looked at.
[[nodiscard]] std::string lint_text(std::span<const LintFinding> findings, std::size_t routes,
                                    std::size_t examples, bool colored);
[[nodiscard]] nlohmann::ordered_json lint_json(std::span<const LintFinding> findings);

}  // namespace tenantd
