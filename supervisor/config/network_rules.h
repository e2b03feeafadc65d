// Addresses, networks and egress rules as text.
//
// Runs in: the supervisor. The text is a tenant's file's: every message quotes it.
#pragma once

#include <string_view>

#include "shared/base/error.h"
#include "shared/contract/network_plan.h"
#include "supervisor/config/tenant_checks.h"

namespace tenantd {

// "10.77.0.1" or "2001:db8::1". Errors: invalid_config: no address, or IPv4 mapped into IPv6.
[[nodiscard]] Result<IpNetwork> parse_address(std::string_view text);
// "10.77.0.2/30": an address in its network. Errors: as above; no prefix.
[[nodiscard]] Result<IpNetwork> parse_interface_address(std::string_view text);
// "tcp 203.0.113.0/24:443", "udp [2001:db8::53]:53", "tcp 10.0.0.1:8000-8010". Errors:
// invalid_config saying which part is wrong.
[[nodiscard]] Result<EgressRule> parse_egress(std::string_view text);

// [physical] network, interface, address, gateway and egress, which fit each other and this host.
void check_network(const TenantConfig& config, const PlacedFields& fields,
                   const PhysicalHostConfig& host, Diagnostics& diagnostics);

}  // namespace tenantd
