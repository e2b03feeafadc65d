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
                                              std::uint64_t now_ms) const {
  const auto entry = places_.find(place.name);
  if (entry == places_.end() || entry->second.generation != place.generation) return std::nullopt;
  const std::optional<Kept>& kept = entry->second.rows.at(row);
  if (!kept || now_ms - kept->at_ms > kept_ms) return std::nullopt;
  Finding finding = kept->finding;
  finding.evidence = place.name + ", " + std::to_string((now_ms - kept->at_ms) / 1000) +
                     " s ago: " + finding.evidence;
  return finding;
}

Finding SharedFindings::said_of(const SharedPlace& place, Finding finding) {
  finding.evidence = place.name + ": " + finding.evidence;
  return finding;
}

}  // namespace tenantd
