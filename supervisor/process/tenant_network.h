// From a tenant's checked settings to what its network is made of.
//
// Runs in: the supervisor.
#pragma once

#include <optional>
#include <string>

#include "shared/contract/launch_spec.h"
#include "shared/contract/network_plan.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {

[[nodiscard]] bool has_network(const TenantConfig& config) noexcept;

// `instance` tells the tenants of two tenantd on one host apart. The host's end of a pair is called
// "tnd" and twelve hexadecimal digits of a hash of both. Errors: as of the parsers of
// network_rules.h.
[[nodiscard]] Result<NetworkPlan> make_network_plan(const TenantId& tenant,
                                                    const PhysicalConfig& config,
                                                    const std::string& instance);

// The same for an isolation probe: always a pair, by another name. None: the tenant has no network.
[[nodiscard]] Result<std::optional<NetworkPlan>> make_rehearsal_plan(const TenantId& tenant,
                                                                     const TenantConfig& config,
                                                                     const std::string& instance);

// Sockets for a tenant with a network, and the TCP ports of its list; nothing for anybody else.
void allow_network(const TenantConfig& config, LaunchSpec& spec);

}  // namespace tenantd
