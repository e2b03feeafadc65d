// `routes_page_request`: routes in id order, as much as fits a frame, with a cursor for the rest.
//
// Runs in: worker, loop thread, reading one immutable snapshot a page. A cursor is a place in id
// order, so an edit between two pages neither repeats nor hides routes that it did not touch.
#pragma once

#include "worker/handlers/services.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

// Errors: no_tenant, not_found (only_route), invalid_argument (a cursor that contradicts
// only_route), store_degraded (no snapshot).
[[nodiscard]] Result<RoutesPage> handle_page(const HandlerServices& services,
                                             const ExecutionContext& context,
                                             const RoutesPageRequest& request);

}  // namespace tenantd
