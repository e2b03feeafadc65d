// Every statement that TenantStore runs, prepared once. Parameter 1 is always the context's tenant.
//
// Runs in: worker. Private to the store: included by tenant_store.cpp, staged_vectors.cpp and
// store_open.cpp only.
#pragma once

#include <memory>

#include "worker/store/tenant_store.h"

namespace tenantd {

struct TenantStore::Statements {
  Statement insert_tenant;
  Statement select_tenant;
  Statement update_tenant;
  Statement select_routes;
  Statement select_count;
  Statement insert_route;
  Statement update_count;
  Statement delete_route;
  Statement select_utterances;
  Statement insert_utterance;
  Statement delete_utterances;
  Statement insert_staged;
  Statement count_staged;
  Statement delete_staged;        // of a route
  Statement delete_other_staged;  // of other targets
  Statement select_staged;
  Statement update_utterance;  // its vector
  Statement clear_staged;
  Statement update_versions;  // of all routes
  Statement select_images;
  Statement replace_image;
  Statement select_some_routes;  // ids and counts behind an id

  [[nodiscard]] static Result<std::unique_ptr<Statements>> prepare(Database& database);
  // Ends unfinished uses, so that no read lock outlives a call.
  void end_all() noexcept;
};

}  // namespace tenantd
