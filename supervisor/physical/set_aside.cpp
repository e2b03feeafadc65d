#include "supervisor/physical/set_aside.h"

#include "shared/base/units.h"

namespace tenantd {

Result<SetAside> check_set_aside(const PhysicalHostConfig& config, const HostTopology& host,
                                 const CpuSet& allowed) {
  const auto refuse = [](const std::string& message, const std::string& hint) {
    return fail(ErrorCode::invalid_config, "[physical] " + message, hint);
  };
  const auto dedicated = CpuSet::parse(config.cpus);
  if (!dedicated) return refuse("cpus: " + dedicated.error().message, dedicated.error().hint);
  SetAside aside{*dedicated, {}, config.memory_bytes};
  if (aside.memory_bytes > host.memory_bytes) {
    return refuse("memory = " + format_size(aside.memory_bytes) + " is more than the " +
                      format_size(host.memory_bytes) + " that this host has",
                  "leave some for everything else, too");
  }
  if (aside.dedicated.empty()) return aside;
  const std::string wanted = "cpus = \"" + aside.dedicated.str() + "\": ";
  if (const CpuSet offline = aside.dedicated.without(host.online); !offline.empty()) {
    return refuse(wanted + offline.str() + " is not online, " + host.online.str() + " are", "");
  }
  if (const CpuSet denied = aside.dedicated.without(allowed); !denied.empty()) {
    return refuse(wanted + "tenantd itself may not use " + denied.str() + ", only " + allowed.str(),
                  "CPUAffinity= and AllowedCPUs= of its unit, or taskset, keep it away from them");
  }
  aside.shared = allowed.without(aside.dedicated);
  if (aside.shared.empty()) {
    return refuse(wanted + "no CPU of " + allowed.str() + " is left for everything else",
                  "tenantd and the other tenants need at least one");
  }
  return aside;
}

}  // namespace tenantd
