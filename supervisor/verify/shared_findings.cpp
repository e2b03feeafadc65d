#include "supervisor/verify/shared_findings.h"

#include <utility>

namespace tenantd {

void SharedFindings::keep(const SharedPlace& place, std::size_t row, const Finding& finding,
                          std::uint64_t now_ms) {
  if (places_.size() >= max_places && !places_.contains(place.name)) places_.clear();
  Entry& entry = places_[place.name];
  if (entry.rows.empty() || entry.generation != place.generation) {
    entry.generation = place.generation;
    entry.rows.assign(rows_, std::nullopt);
  }
  entry.rows.at(row) = Kept{finding, now_ms};
}

std::optional<Finding> SharedFindings::recall(const SharedPlace& place, std::size_t row,
                                              std::uint64_t now_ms, const Freshness& wanted) const {
  const auto entry = places_.find(place.name);
  if (entry == places_.end() || entry->second.generation != place.generation) return std::nullopt;
  const std::optional<Kept>& kept = entry->second.rows.at(row);
  if (!kept || now_ms - kept->at_ms > kept_ms) return std::nullopt;
  if (wanted.found_after_ms != 0 && kept->at_ms <= wanted.found_after_ms) return std::nullopt;
  if (!wanted.failed_too && kept->finding.outcome == ProbeOutcome::failed) return std::nullopt;
  Finding finding = kept->finding;
  finding.evidence = place.name + ", " + std::to_string((now_ms - kept->at_ms) / 1000) +
                     " s ago: " + finding.evidence;
  return finding;
}

Freshness AnsweredTenants::wanted(const TenantId& tenant) const {
  const auto last = answered_ms_.find(tenant);
  return {last == answered_ms_.end() ? 0 : last->second, false};
}

void AnsweredTenants::answered(const TenantId& tenant, std::uint64_t now_ms) {
  if (answered_ms_.size() >= max_tenants && !answered_ms_.contains(tenant)) {
    std::erase_if(answered_ms_, [now_ms](const auto& one) {
      return now_ms - one.second > SharedFindings::kept_ms;
    });
    if (answered_ms_.size() >= max_tenants) answered_ms_.clear();
  }
  answered_ms_[tenant] = now_ms;
}

Finding SharedFindings::said_of(const SharedPlace& place, Finding finding) {
  finding.evidence = place.name + ": " + finding.evidence;
  return finding;
}

}  // namespace tenantd
