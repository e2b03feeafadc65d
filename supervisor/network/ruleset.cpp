#include "supervisor/network/ruleset.h"

namespace tenantd {
namespace {

// Neighbour discovery: a router or a redirect is announced to nobody and believed from nobody.
constexpr std::string_view neighbours =
    "ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n";

std::string rule_text(const EgressRule& rule) {
  std::string text = rule.destination.version == 4 ? "ip daddr " : "ip6 daddr ";
  text += network_text(rule.destination);
  text += rule.protocol == EgressProtocol::tcp ? " tcp dport " : " udp dport ";
  text += std::to_string(rule.first_port);
  if (rule.last_port != rule.first_port) text += '-' + std::to_string(rule.last_port);
  return text + " accept\n";
}

}  // namespace

std::string ruleset_text(const NetworkPlan& plan, std::string_view interface) {
  const bool six = plan.address.version == 6;
  const std::string device = '"' + std::string(interface) + '"';
  std::string text = "table inet tenantd {\nchain output {\n";
  text += "type filter hook output priority 0; policy drop;\n";
  text += "oifname != " + device + " drop\n";
  if (six) text += neighbours;
  text += std::string(six ? "ip6" : "ip") + " saddr != " + address_text(plan.address) + " drop\n";
  for (std::size_t i = 0; i < plan.rule_count; ++i) text += rule_text(plan.rules[i]);
  text += "}\nchain input {\ntype filter hook input priority 0; policy drop;\n";
  text += "iifname != " + device + " drop\n";
  if (six) text += neighbours;
  // An answer, or what path MTU discovery and a refused datagram need.
  text += "ct state established accept\n";
  text += std::string("ct state related meta l4proto ") + (six ? "icmpv6" : "icmp") + " accept\n";
  text += "}\nchain forward {\ntype filter hook forward priority 0; policy drop;\n}\n}\n";
  return text;
}

}  // namespace tenantd
