// What people read about platinum tenants' CPUs and memory.
//
// Runs in: tenantctl. Empty where there is nothing to say.
#pragma once

#include <string>

#include "shared/protocol/admin_messages.h"

namespace tenantd {

// "2-3, no other process of tenantd runs there".
[[nodiscard]] std::string dedicated_cpus_text(const TenantInfo& tenant);
// "512M of memory".
[[nodiscard]] std::string guaranteed_text(const TenantInfo& tenant);
// One line: what tenantd.toml sets aside, and what of it tenants have.
[[nodiscard]] std::string set_aside_text(const AdminDaemon& daemon);

}  // namespace tenantd
