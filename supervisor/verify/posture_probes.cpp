#include "supervisor/verify/posture_probes.h"

#include <algorithm>

namespace tenantd {
namespace {

constexpr std::size_t shown_bytes = 190;

bool names_fact(const ProbeRow& row, std::string_view fact) noexcept {
  return std::any_of(row.facts.begin(), row.facts.end(), [fact](std::string_view beginning) {
    return !beginning.empty() && fact.starts_with(beginning);
  });
}

std::string layers_text(LayerSet layers) {
  std::string text;
  for (std::size_t i = 0; i < layer_names.size(); ++i) {
    if (!layers.has(static_cast<Layer>(i))) continue;
    if (!text.empty()) text += ", ";
    text += layer_names[i];
  }
  return text;
}

}  // namespace

const ProbeRow* row_of_fact(std::string_view fact) noexcept {
  const ProbeRow* rest = nullptr;
  for (const ProbeRow& row : probe_rows()) {
    if (row.source != ProbeSource::posture) continue;
    if (row.facts[0].empty()) rest = &row;
    if (names_fact(row, fact)) return &row;
  }
  return rest;
}

Finding promise_of(const ProbeRow& row, const PromiseBounds& bounds) {
  const LayerSet missing = row.layers.without(bounds.applied);
  if (missing.empty()) return passed({});
  const LayerSet unwanted = missing.without(missing.without(bounds.unwanted));
  if (!unwanted.empty()) {
    return {ProbeOutcome::not_promised, "its file asks for no " + layers_text(unwanted)};
  }
  const LayerSet forbidden = missing.without(bounds.tolerated);
  if (!forbidden.empty()) return failed(layers_text(forbidden) + " is missing");
  return {ProbeOutcome::not_promised,
          "not promised here: " + layers_text(missing) + " is tolerated as missing"};
}

Finding probe_posture(const ProbeRow& row, const Posture& posture, const ExpectedPosture& expected,
                      const std::vector<std::string>& deviations) {
  for (const std::string& line : deviations) {
    if (row_of_fact(line) == &row) return failed(line);
  }
  std::size_t looked_at = 0;
  std::size_t unreadable = 0;
  std::string evidence;
  for (const auto& [fact, value] : posture.facts) {
    const bool wanted = expected.contains(fact) || fact.starts_with("cgroup ");
    if (!wanted || row_of_fact(fact) != &row) continue;
    ++(value == unreadable_fact ? unreadable : looked_at);
    if (value == unreadable_fact || evidence.size() >= shown_bytes) continue;
    evidence += (evidence.empty() ? "" : "; ") + fact + "=" + value;
  }
  if (looked_at == 0) {
    return {ProbeOutcome::not_applicable,
            unreadable > 0 ? std::string(unreadable_fact) : "nothing is expected of it"};
  }
  evidence.resize(std::min(evidence.size(), shown_bytes));
  return passed(std::move(evidence));
}

std::vector<std::string> take_duties_of_program(std::vector<std::string>& deviations) {
  const auto is_duty = [](const std::string& line) {
    return line == "dumpable: expected no, is yes" ||
           line == "seccomp_filters: expected 2, is 1";  // the jail's is there
  };
  std::vector<std::string> duties;
  for (const std::string& line : deviations) {
    if (is_duty(line)) duties.push_back(line);
  }
  std::erase_if(deviations, is_duty);
  return duties;
}

Finding without_duties(const ProbeRow& row, Finding finding,
                       const std::vector<std::string>& duties) {
  if (finding.outcome != ProbeOutcome::passed) return finding;
  for (const std::string& line : duties) {
    if (row_of_fact(line) != &row) continue;
    return {ProbeOutcome::not_promised, "not promised (own program): " + line};
  }
  return finding;
}

}  // namespace tenantd
