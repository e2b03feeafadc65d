// What the isolation verifier found, for people.
#include "client/tenantctl/format/printable.h"
#include "client/tenantctl/format/reports.h"
#include "client/tenantctl/format/table.h"
#include "shared/base/clock.h"

namespace tenantd {
namespace {

Color color_of(const std::string& outcome) {
  if (outcome == "passed") return Color::good;
  return outcome == "failed" ? Color::bad : Color::warning;
}

}  // namespace

std::string verifications_line(const AdminDaemon& daemon, bool colored) {
  if (daemon.verifications == 0) return {};
  std::string line = "isolation: " + std::to_string(daemon.verifications) + " verifications, " +
                     std::to_string(daemon.verifications_failed) + " failed, " +
                     std::to_string(daemon.isolation_violations) + " violations, the last one " +
                     format_utc(daemon.last_verification_ms);
  const bool bad = daemon.verifications_failed > 0;
  return (bad ? painted(line, Color::bad, colored) : line) + "\n";
}

std::string verification_text(const AdminVerification& report, bool colored) {
  std::string out = printable(report.tenant) + ", " + printable(report.plan) + ": ";
  if (report.all_passed) {
    out += painted("all passed", Color::good, colored);
  } else if (report.failures.empty()) {
    out += painted("nothing was shown", Color::warning, colored);
  } else {
    out += painted(std::to_string(report.failures.size()) + " FAILED", Color::bad, colored);
  }
  out += " (" + std::to_string(report.passed) + " passed, " + std::to_string(report.not_promised) +
         " not promised, " + std::to_string(report.not_applicable) + " not applicable)\n";
  Table table({"OUTCOME", "PROBE", "FROM", "EVIDENCE"});
  for (const VerifyProbe& probe : report.probes) {
    table.add({Cell(probe.outcome, color_of(probe.outcome)), probe.name,
               probe.inside ? "inside" : "outside", probe.evidence});
  }
  return out + table.text(colored);
}

std::string verifications_text(const std::vector<PastVerification>& past) {
  if (past.empty()) return "no verification yet\n";
  Table table({"TIME", "OUTCOME", "DETAIL"});
  for (const PastVerification& one : past) {
    table.add({format_utc(one.time_ms), one.all_passed ? "passed" : "FAILED", one.detail});
  }
  return table.text(false);
}

}  // namespace tenantd
