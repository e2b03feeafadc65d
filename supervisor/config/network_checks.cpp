// What the keys about a tenant's network must satisfy together, and what this host has for them.
#include <algorithm>

#include "supervisor/config/network_rules.h"

namespace tenantd {
namespace {

constexpr std::string_view kind_names[] = {"none", "veth", "interface"};

class NetworkCheck {
 public:
  NetworkCheck(const PhysicalConfig& wanted, const PlacedFields& fields,
               const PhysicalHostConfig& host, Diagnostics& diagnostics)
      : wanted_(wanted), fields_(fields), host_(host), diagnostics_(diagnostics) {}

  void run() {
    if (wanted_.network == NetworkKind::none) return refuse_what_needs_a_network();
    check_program();
    check_interface();
    check_addresses();
    for (const std::string& text : wanted_.egress) {
      const auto rule = parse_egress(text);
      if (!rule) tell("egress", rule.error());
      if (rule && address_ && rule->destination.version != address_->version) {
        refuse("egress", quoted(text) + " is of another version than the address, " +
                             quoted(wanted_.address));
      }
    }
  }

 private:
  void refuse(std::string_view key, std::string message, std::string hint = {},
              ErrorCode code = ErrorCode::invalid_config) {
    std::string field = "physical." + std::string(key);
    // A key that is missing is the mistake of the one that asks for it.
    const Place place = fields_.place(fields_.has(field) ? field : "physical.network");
    diagnostics_.add(place, std::move(field), std::move(message), std::move(hint), code);
  }
  void tell(std::string_view key, const Error& error) {
    refuse(key, error.message, error.hint, error.code);
  }

  void refuse_what_needs_a_network() {
    for (const std::string_view key : {"interface", "address", "gateway", "egress"}) {
      if (!fields_.has("physical." + std::string(key))) continue;
      refuse(key, "needs a network, and this tenant's is \"none\"",
             "set network = \"veth\" or \"interface\", or remove it");
    }
  }

  // tenantd's own worker opens no socket, and its filter of system calls lets it open none.
  void check_program() {
    if (!wanted_.program.empty()) return;
    refuse("network", "a network is of no use without a program of the tenant's own",
           "name one with program, or remove network");
  }

  void check_interface() {
    const bool wants = wanted_.network == NetworkKind::interface;
    if (wants != !wanted_.interface.empty()) {
      return refuse("interface",
                    wants ? "network \"interface\" names none"
                          : "is given, and network is " +
                                quoted(kind_names[static_cast<std::size_t>(wanted_.network)]),
                    "interface belongs to network = \"interface\" and to nothing else");
    }
    const auto& known = host_.interfaces;
    if (!wants || std::find(known.begin(), known.end(), wanted_.interface) != known.end()) return;
    refuse("interface",
           quoted(wanted_.interface) + " is not in [physical] interfaces of tenantd.toml",
           "an operator can add it there", ErrorCode::unsupported);
  }

  void check_addresses() {
    if (wanted_.address.empty()) {
      return refuse("address", "is missing: the worker's address and its network",
                    "address = \"10.77.0.2/30\"");
    }
    const auto address = parse_interface_address(wanted_.address);
    if (!address) return tell("address", address.error());
    address_ = *address;
    if (address->prefix == 0 || (ends(*address) && address->prefix + 1U < address->bits())) {
      refuse("address", quoted(wanted_.address) + " is the network itself or its broadcast address",
             "an address between them");
    }
    const auto within = [&](const std::string& text) {
      const auto network = parse_interface_address(text);
      return network && contains(*network, *address);
    };
    if (std::none_of(host_.networks.begin(), host_.networks.end(), within)) {
      refuse("address",
             quoted(wanted_.address) + " is in none of [physical] networks of tenantd.toml",
             "an operator can add its network there", ErrorCode::unsupported);
    }
    check_gateway(*address);
  }

  // The first and the last address of a network are no host's; in IPv6 the last one may be.
  static bool ends(const IpNetwork& address) {
    return rest_is(address, false) || (address.version == 4 && rest_is(address, true));
  }

  void check_gateway(const IpNetwork& address) {
    if (wanted_.gateway.empty()) {
      return refuse("gateway", "is missing: the address that everything else is reached through",
                    "gateway = \"10.77.0.1\"");
    }
    auto gateway = parse_address(wanted_.gateway);
    if (!gateway) return tell("gateway", gateway.error());
    if (!contains(address, *gateway)) {
      return refuse("gateway", quoted(wanted_.gateway) + " is not in the network of " +
                                   quoted(wanted_.address));
    }
    if (gateway->bytes == address.bytes) {
      return refuse("gateway", quoted(wanted_.gateway) + " is the worker's own address");
    }
    gateway->prefix = address.prefix;
    if (ends(*gateway) && address.prefix + 1U < address.bits()) {
      refuse("gateway",
             quoted(wanted_.gateway) + " is the network itself or its broadcast address");
    }
  }

  const PhysicalConfig& wanted_;
  const PlacedFields& fields_;
  const PhysicalHostConfig& host_;
  Diagnostics& diagnostics_;
  std::optional<IpNetwork> address_;
};

}  // namespace

void check_network(const TenantConfig& config, const PlacedFields& fields,
                   const PhysicalHostConfig& host, Diagnostics& diagnostics) {
  NetworkCheck(config.physical, fields, host, diagnostics).run();
}

}  // namespace tenantd
