// Operation: restart a tenant's worker at once, whatever keeps it down.
#include <utility>

#include "control/admin/operation.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminRestart& request, Reply<AdminDone> reply) {
  const Status valid = check_tenant(request.tenant, "tenant");
  if (!valid) return reply(tl::unexpected(valid.error()));
  context.link.ask(
      CommandVerb::restart_tenant, request.tenant, requester.uid,
      [reply = std::move(reply), tenant = request.tenant](Result<SupervisorLink::Answer> answer) {
        if (!answer) return reply(about_tenant(answer.error(), tenant));
        reply(AdminDone{std::string(answer->done.message.view())});
      });
}

}  // namespace tenantd
