// Operation: rescan the tenants directory, or let a held mass removal happen.
#include <utility>

#include "control/admin/operation.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminReload& request, Reply<AdminDone> reply) {
  const CommandVerb verb =
      request.confirm_removal ? CommandVerb::confirm_removal : CommandVerb::reload;
  context.link.ask(verb, {}, requester.uid,
                   [reply = std::move(reply)](Result<SupervisorLink::Answer> answer) {
                     if (!answer) return reply(fail(answer.error()));
                     reply(AdminDone{std::string(answer->done.message.view())});
                   });
}

}  // namespace tenantd
