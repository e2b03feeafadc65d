// Feeds arbitrary bytes to both configuration readers, as a tenant's file and as tenantd.toml.
//
// Beside not crashing: a file is refused with at least one problem or accepted within its bounds,
// and no message carries a control character to a terminal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "supervisor/config/config_change.h"
#include "supervisor/config/daemon_config.h"
#include "supervisor/config/tenant_config.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_messages(const std::vector<tenantd::Error>& errors) {
  require(!errors.empty() && errors.size() <= tenantd::Diagnostics::max_kept + 1);
  for (const tenantd::Error& error : errors) {
    require(!tenantd::has_control_characters(error.describe()));
  }
}

void check_tenant(const tenantd::TenantConfig& config) {
  const tenantd::TenantSettings settings = tenantd::to_tenant_settings(config);
  require(settings.tenant_id.view() == config.id && config.id == "acme-corp");
  require(settings.router.encoder.view() == config.router.encoder);
  require(settings.router.threshold >= 0 && settings.router.threshold <= 1);
  require(settings.router.dense_weight >= 0 && settings.router.lexical_weight >= 0);
  require(settings.router.dimension >= 1 && settings.router.dimension <= 8192);
  const tenantd::ResourceLimits limits = tenantd::to_resource_limits(config);
  require(limits.memory_max_bytes != 0 && limits.memory_high_bytes <= limits.memory_max_bytes);
  require(limits.cpu_millicores != 0 && limits.pids_max != 0);
  require(limits.io_count <= tenantd::ResourceLimits::max_io);
  require(tenantd::diff(config, config) == tenantd::ConfigChange{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tenantd::TenantId id = tenantd::TenantId::parse("acme-corp").value();
  static const tenantd::DaemonConfig defaults = tenantd::default_daemon_config();
  const tenantd::NoAccounts accounts;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tenant = tenantd::parse_tenant_config(text, "acme-corp.toml", id, defaults, accounts);
  if (tenant) {
    check_tenant(*tenant);
  } else {
    check_messages(tenant.error());
  }
  const auto daemon = tenantd::parse_daemon_config(text, "tenantd.toml", {}, {});
  if (!daemon) check_messages(daemon.error());
  return 0;
}
