// Turns edits into the next snapshot: validate, encode, commit, build, publish, in this order.
//
// Runs in: worker, editor thread (the main, before the loop runs, for open()). Edits come from
// clients and mean nothing until validated here. What is acknowledged is durable; what is published
// was committed.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "worker/encoder/hash_encoder.h"
#include "worker/router/tenant_router.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

struct EditOutcome {
  std::uint64_t snapshot_version = 0;
  std::size_t routes = 0;      // now
  std::size_t utterances = 0;  // now
};

class RouteEditor {
 public:
  // Reads all routes of the store; encodes nothing. `store` is borrowed and must outlive the
  // editor. Errors: store_degraded, wrong_dimension (vectors of another dimension than the
  // settings'), invalid_argument (settings), no_tenant.
  [[nodiscard]] static Result<RouteEditor> open(const ExecutionContext& context, TenantStore& store,
                                                const TenantSettings& settings);

  // The router for this tenant, holding what open() read. Call once; the router is borrowed from
  // then on and must outlive the editor's last call.
  [[nodiscard]] std::unique_ptr<TenantRouter> make_router(const ExecutionContext& context);

  // Blocking: all edits or none, durable when it returns. `edits` is changed: missing vectors and
  // encoder ids are filled in. Errors: those of validate.h; already_exists, not_found;
  // resource_exhausted (max_routes, max_embeddings); encoder_unavailable (a text alone, and the
  // encoder is not built in); encoder_mismatch (a tenant's vectors must all be one encoder's);
  // store_degraded; no_tenant.
  [[nodiscard]] Result<EditOutcome> apply(const ExecutionContext& context,
                                          std::span<RouteEdit> edits);
  // Live change of threshold, fallback, weights, aggregation, limits. No vector is touched. Errors:
  // invalid_argument; unsupported (another dimension or encoder needs a new generation); no_tenant.
  [[nodiscard]] Status apply_settings(const ExecutionContext& context,
                                      const TenantSettings& settings);
  // Large sets are recalibrated only once they changed by a fifth. Call when no edit waits: refits
  // what is stale. False: nothing to do.
  [[nodiscard]] Result<bool> settle(const ExecutionContext& context);

 private:
  using Blocks = std::vector<std::shared_ptr<const RouteBlock>>;
  explicit RouteEditor(TenantStore& store, const TenantSettings& settings)
      : store_(&store), encoder_(settings.router.dimension) {}
  [[nodiscard]] Status complete(RouteEdit& edit);
  [[nodiscard]] Status complete(Utterance& utterance);
  [[nodiscard]] Status stage(const RouteEdit& edit, Blocks& blocks) const;
  [[nodiscard]] Status check_limits(const Blocks& blocks) const;
  [[nodiscard]] Status publish(const ExecutionContext& context, SnapshotPtr next);

  TenantStore* store_;
  TenantRouter* router_ = nullptr;  // borrowed; null until make_router()
  SnapshotPtr current_;
  HashEncoder encoder_;
  Searcher searcher_;
};

}  // namespace tenantd
