// Operation: the newest log lines of a tenant's worker.
#include <algorithm>
#include <utility>

#include "control/admin/operation.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminLogsRequest& request, Reply<AdminLogs> reply) {
  const Status valid = check_tenant(request.tenant, "tenant");
  if (!valid) return reply(tl::unexpected(valid.error()));
  const auto lines = std::min<std::uint32_t>(request.lines, LogBook::max_lines);
  if (context.logbook.knows(request.tenant)) {
    AdminLogs logs{context.logbook.read(request.tenant, lines, request.after_sequence)};
    return reply(std::move(logs));
  }
  // Silence of a tenant that exists is an empty answer; a misspelt id is an error.
  context.link.ask(
      CommandVerb::show_tenant, request.tenant, requester.uid,
      [reply = std::move(reply), tenant = request.tenant](Result<SupervisorLink::Answer> answer) {
        if (!answer) return reply(about_tenant(answer.error(), tenant));
        reply(AdminLogs{});
      });
}

}  // namespace tenantd
