// Operation: what happened, from the ledger. A removed tenant's history is still there.
#include <algorithm>
#include <utility>

#include "control/admin/operation.h"

namespace tenantd {

void run_operation(const AdminContext& context, const Requester&, const AdminEventsRequest& request,
                   Reply<AdminEvents> reply) {
  if (!request.tenant.empty()) {
    const Status valid = check_tenant(request.tenant, "tenant");
    if (!valid) return reply(tl::unexpected(valid.error()));
  }
  const auto limit = std::min<std::uint32_t>(request.limit, 256);
  reply(AdminEvents{context.ledger.read(request.tenant, limit, request.after_sequence)});
}

}  // namespace tenantd
