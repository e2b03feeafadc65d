// What a start knows of a tenant's routes: from the image what did not change since, the rest from
// the database.
//
// Runs in: worker, before the loop runs, and the editor thread. The database may be damaged.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/store/route_image.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

// `error` said of a route.
[[nodiscard]] tl::unexpected<Error> about_route(Error error, const RouteDefinition& route);

struct LoadedRoutes {
  std::shared_ptr<const RouteSet> set;
  std::uint64_t version = 0;
  std::size_t changed_utterances = 0;  // since the image; all without one
};

// `dimension` where no vector is stored; else the set has the length of the first. Errors:
// store_degraded, no_tenant, wrong_dimension (vectors of several lengths), those of validate.h.
[[nodiscard]] Result<LoadedRoutes> load_routes(const ExecutionContext& context, TenantStore& store,
                                               std::uint32_t dimension,
                                               const std::optional<RouteImage>& image = {});

}  // namespace tenantd
