// Operation: the effective confinement of a live worker, as the supervisor reads it from the
// kernel.
#include <utility>

#include "control/admin/operation.h"
#include "control/admin/records.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminPostureRequest& request, Reply<AdminPosture> reply) {
  const Status valid = check_tenant(request.tenant, "tenant");
  if (!valid) return reply(tl::unexpected(valid.error()));
  context.link.ask(
      CommandVerb::posture, request.tenant, requester.uid,
      [reply = std::move(reply), tenant = request.tenant](Result<SupervisorLink::Answer> answer) {
        if (!answer) return reply(about_tenant(answer.error(), tenant));
        if (!answer->posture) {
          Error error;
          error.code = ErrorCode::unavailable;
          error.message = "no worker is running";
          return reply(about_tenant(std::move(error), tenant));
        }
        reply(posture_of(*answer->posture));
      });
}

}  // namespace tenantd
