#include "client/tenantctl/format/physical_text.h"

#include "shared/base/units.h"

namespace tenantd {
namespace {

std::string exclusivity_text(const std::string& exclusivity) {
  return exclusivity == "host" ? "nobody else on the host runs there"
                               : "no other process of tenantd runs there";
}

}  // namespace

std::string dedicated_cpus_text(const TenantInfo& tenant) {
  if (tenant.dedicated_cpus.empty()) return {};
  return tenant.dedicated_cpus + ", " + exclusivity_text(tenant.cpu_exclusivity);
}

std::string guaranteed_text(const TenantInfo& tenant) {
  if (tenant.guaranteed_memory_bytes == 0) return {};
  return format_size(tenant.guaranteed_memory_bytes) + " of memory";
}

std::string set_aside_text(const AdminDaemon& daemon) {
  std::string out;
  if (!daemon.set_aside_cpus.empty()) {
    out.append("CPUs set aside: ").append(daemon.set_aside_cpus).append(", in use: ");
    out.append(daemon.dedicated_cpus.empty() ? "none" : daemon.dedicated_cpus);
    out.append(" (").append(exclusivity_text(daemon.cpu_exclusivity)).append(")");
  }
  if (daemon.set_aside_memory_bytes != 0) {
    out.append(out.empty() ? "" : "; ").append("memory guaranteed: ");
    out.append(format_size(daemon.guaranteed_memory_bytes)).append(" of ");
    out.append(format_size(daemon.set_aside_memory_bytes));
  }
  return out;
}

}  // namespace tenantd
