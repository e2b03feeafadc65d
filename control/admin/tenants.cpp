// Operation: tenants as they are now, one of them or a page of all.
#include <utility>

#include "control/admin/operation.h"
#include "control/admin/records.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminTenantsRequest& request, Reply<AdminTenants> reply) {
  const bool one = !request.only_tenant.empty();
  const std::string& tenant = one ? request.only_tenant : request.after_tenant;
  if (!tenant.empty()) {
    const Status valid = check_tenant(tenant, one ? "only_tenant" : "after_tenant");
    if (!valid) return reply(tl::unexpected(valid.error()));
  }
  const CommandVerb verb = one ? CommandVerb::show_tenant : CommandVerb::list_tenants;
  context.link.ask(
      verb, tenant, requester.uid,
      [reply = std::move(reply), one, tenant](Result<SupervisorLink::Answer> answer) {
        if (!answer) {
          return reply(one ? about_tenant(answer.error(), tenant) : fail(answer.error()));
        }
        AdminTenants tenants;
        for (const TenantRecord& record : answer->tenants) {
          tenants.tenants.push_back(tenant_info_of(record));
        }
        // A page that says "more" without an id to go on from would never end.
        tenants.more = answer->done.more != 0 && !tenants.tenants.empty();
        reply(std::move(tenants));
      });
}

}  // namespace tenantd
