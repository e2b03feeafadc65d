#include "supervisor/process/tenant_network.h"

#include <sodium.h>

#include <set>

#include "supervisor/config/network_rules.h"

namespace tenantd {
namespace {

std::string hash_text(const std::string& text, std::size_t digits) {
  std::array<unsigned char, 16> hash{};
  (void)crypto_generichash(hash.data(), hash.size(),
                           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                           nullptr, 0);
  std::array<char, 2 * hash.size() + 1> hex{};
  return std::string(sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size()))
      .substr(0, digits);
}

// Landlock knows single ports. Empty: more than the launch spec holds.
std::set<std::uint16_t> tcp_ports(const PhysicalConfig& config, bool& all) {
  std::set<std::uint16_t> ports;
  for (const std::string& text : config.egress) {
    const auto rule = parse_egress(text);
    if (!rule || rule->protocol != EgressProtocol::tcp) continue;
    for (std::uint32_t port = rule->first_port; port <= rule->last_port; ++port) {
      ports.insert(static_cast<std::uint16_t>(port));
      all = ports.size() > LaunchSpec::max_connect_ports;
      if (all) return {};
    }
  }
  return ports;
}

}  // namespace

bool has_network(const TenantConfig& config) noexcept {
  return config.isolation_level == IsolationLevel::physical &&
         config.physical.network != NetworkKind::none;
}

Result<NetworkPlan> make_network_plan(const TenantId& tenant, const PhysicalConfig& config,
                                      const std::string& instance) {
  NetworkPlan plan;
  const std::string host = hash_text(instance, 16);
  // Both fit: an id has at most 63 bytes.
  (void)plan.owner.assign("tenantd " + host + ' ' + tenant.str());
  if (config.network == NetworkKind::veth) {
    (void)plan.host_link.assign("tnd" + hash_text(host + ' ' + tenant.str(), 12));
  } else if (!plan.interface.assign(config.interface)) {
    return fail(ErrorCode::invalid_config, quoted(config.interface) + " is no interface's name");
  }
  const auto address = parse_interface_address(config.address);
  if (!address) return tl::unexpected(address.error());
  auto gateway = parse_address(config.gateway);
  if (!gateway) return tl::unexpected(gateway.error());
  gateway->prefix = address->prefix;
  plan.address = *address;
  plan.gateway = *gateway;
  for (const std::string& text : config.egress) {
    const auto rule = parse_egress(text);
    if (!rule) return tl::unexpected(rule.error());
    if (plan.rule_count == NetworkPlan::max_rules) {
      return fail(ErrorCode::invalid_config, "egress has too many rules");
    }
    plan.rules[plan.rule_count++] = *rule;
  }
  return plan;
}

Result<std::optional<NetworkPlan>> make_rehearsal_plan(const TenantId& tenant,
                                                       const TenantConfig& config,
                                                       const std::string& instance) {
  if (!has_network(config)) return std::optional<NetworkPlan>();
  PhysicalConfig pair = config.physical;
  pair.network = NetworkKind::veth;
  auto plan = make_network_plan(tenant, pair, instance + "/probe");
  if (!plan) return tl::unexpected(plan.error());
  return std::optional<NetworkPlan>(*plan);
}

void allow_network(const TenantConfig& config, LaunchSpec& spec) {
  if (!has_network(config) || config.physical.program.empty()) return;
  spec.allowances |= static_cast<std::uint32_t>(Allowance::internet_sockets);
  bool all = false;
  for (const std::uint16_t port : tcp_ports(config.physical, all)) {
    spec.connect_ports[spec.connect_port_count++] = port;
  }
  if (all) spec.allowances |= static_cast<std::uint32_t>(Allowance::any_tcp_port);
}

}  // namespace tenantd
