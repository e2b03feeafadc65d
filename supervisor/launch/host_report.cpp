// `tenantd --check-host`: what this host can confine with, for people.
//
// Runs in: tenantd started for that only.
#include <algorithm>

#include "shared/contract/layer_needs.h"
#include "supervisor/launch/host.h"

namespace tenantd {
namespace {

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.resize(std::max(width, out.size()), ' ');
  return out;
}

// The part after "name: " of the line about this layer.
std::string why_missing(const HostCapabilities& host, std::string_view name) {
  for (const std::string& line : host.explanations) {
    if (line.starts_with(std::string(name) + ": ")) return line.substr(name.size() + 2);
  }
  return "not available";
}

}  // namespace

std::string describe_host(const HostCapabilities& host) {
  std::size_t width = 0;
  for (const std::string_view name : layer_names) width = std::max(width, name.size());
  std::string text;
  for (std::size_t i = 0; i < layer_names.size(); ++i) {
    const bool here = host.available.has(static_cast<Layer>(i));
    text += padded(layer_names[i], width) + (here ? "  yes  " : "  NO   ");
    if (here) {
      text.append(layer_needs[i].mechanism).append(" (Linux ").append(layer_needs[i].since) += ")";
    } else {
      text += why_missing(host, layer_names[i]);
    }
    text += '\n';
  }
  for (const LandlockBonus& bonus : landlock_bonuses) {
    const bool here = host.landlock_abi >= bonus.abi;
    text += padded("beyond that", width) + (here ? "  yes  " : "  no   ") + std::string(bonus.name);
    text.append(" (Linux ").append(bonus.since).append(")\n");
  }
  return text;
}

}  // namespace tenantd
