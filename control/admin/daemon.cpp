// Operation: the daemon itself, its counters and what is wrong with it.
#include <utility>

#include "control/admin/operation.h"
#include "control/admin/records.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminDaemonRequest&, Reply<AdminDaemon> reply) {
  // Only read: the ledger outlives the link, which drops its callbacks when it goes.
  const Ledger& ledger = context.ledger;
  context.link.ask(CommandVerb::daemon_status, {}, requester.uid,
                   [reply = std::move(reply), &ledger](Result<SupervisorLink::Answer> answer) {
                     if (!answer) return reply(fail(answer.error()));
                     AdminDaemon daemon = daemon_of(answer->done.daemon);
                     if (!ledger.warning().empty()) {
                       if (!daemon.warning.empty()) daemon.warning += "; ";
                       daemon.warning += ledger.warning();
                       daemon.warning.resize(std::min<std::size_t>(daemon.warning.size(), 512));
                     }
                     reply(std::move(daemon));
                   });
}

}  // namespace tenantd
