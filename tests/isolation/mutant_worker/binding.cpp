// A worker that binds an attachment to the tenant before it: the planted owner becomes the
// intruder.
//
// Runs in: the sandbox, in place of a pooled worker. Test only.
#include "tests/isolation/mutant_worker/planted.h"
#include "worker/runtime/hosted_tenants.h"

extern "C" {
void __real__ZN7tenantd13HostedTenants6attachERKNS_6AttachENS_8UniqueFdE(
    tenantd::HostedTenants* self, const tenantd::Attach& request, tenantd::UniqueFd socket);

void __wrap__ZN7tenantd13HostedTenants6attachERKNS_6AttachENS_8UniqueFdE(
    tenantd::HostedTenants* self, const tenantd::Attach& request, tenantd::UniqueFd socket) {
  static tenantd::Attach intruder;
  tenantd::Attach taken = request;
  if (tenantd::is_intruder(request.tenant_id.view())) intruder = request;
  if (tenantd::is_owner(request.tenant_id.view())) taken.tenant_id = intruder.tenant_id;
  __real__ZN7tenantd13HostedTenants6attachERKNS_6AttachENS_8UniqueFdE(self, taken,
                                                                      std::move(socket));
}
}
