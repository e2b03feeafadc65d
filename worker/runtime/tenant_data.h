// A tenant's store, editor and router, opened together; without them, why not.
//
// Runs in: worker: opened before the loop serves, then the editor belongs to the editor thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "shared/contract/tenant_settings.h"
#include "worker/router/tenant_router.h"
#include "worker/store/route_editor.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

struct TenantData {
  std::unique_ptr<TenantStore> store;
  std::optional<RouteEditor> editor;
  std::unique_ptr<TenantRouter> router;
  std::uint64_t executions = 0;  // in its history

  // Blocking. Errors: unavailable (another process writes the data: try again), store_degraded and
  // whatever else keeps the routes from being read.
  [[nodiscard]] static Result<TenantData> open(const ExecutionContext& context,
                                               const std::string& directory,
                                               const TenantSettings& settings,
                                               const EncoderShelf& shelf);
  // The same of a database that tenants share. Keeps nothing beside it: no image, no index.
  [[nodiscard]] static Result<TenantData> open_shared(const ExecutionContext& context,
                                                      std::shared_ptr<StoreFile> shard,
                                                      const TenantSettings& settings,
                                                      const EncoderShelf& shelf);
};

}  // namespace tenantd
