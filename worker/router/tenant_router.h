// A tenant's router: answers queries from the current snapshot.
//
// Runs in: worker, loop thread (route), editor thread (publish). Queries come from clients and are
// validated here. The tenant comes from the execution context only.
#pragma once

#include <vector>

#include "shared/base/error.h"
#include "worker/encoder/hash_encoder.h"
#include "worker/router/snapshot_holder.h"
#include "worker/router/types.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

class TenantRouter {
 public:
  // `first` is not null and its settings are valid (validate_settings).
  TenantRouter(TenantId tenant, SnapshotPtr first);

  // Loop thread only. Never blocks; allocates only the decision once its scratch has grown. Errors:
  // no_tenant (the context is another tenant's), invalid_argument, wrong_dimension, invalid_vector,
  // encoder_mismatch (the stored vectors are another encoder's), encoder_unavailable (a text alone,
  // and the tenant's encoder is not built in).
  [[nodiscard]] Result<RouteDecision> route(const ExecutionContext& context,
                                            const RouteQuery& query);
  // Editor thread. no_tenant.
  [[nodiscard]] Status publish(const ExecutionContext& context, SnapshotPtr next);
  // Any thread: to list, show and export routes. no_tenant.
  [[nodiscard]] Result<SnapshotPtr> snapshot(const ExecutionContext& context) const;

 private:
  struct Ranked {
    std::uint32_t route;
    float logit;
    FusedScore fused;
  };
  [[nodiscard]] Status prepare(const RouteSnapshot& snapshot, const RouteQuery& query,
                               QuerySignals& signals);
  [[nodiscard]] Status prepare_vector(const RouteSnapshot& snapshot, const RouteQuery& query,
                                      QuerySignals& signals);
  void rank(const RouteSnapshot& snapshot, std::span<const SignalScores> scores,
            std::size_t wanted);
  [[nodiscard]] RouteDecision decide(const RouteSnapshot& snapshot, const RouteQuery& query,
                                     std::span<const SignalScores> scores, float evidence) const;
  [[nodiscard]] Explanation explain(const RouteSnapshot& snapshot, const QuerySignals& signals,
                                    std::uint32_t best);

  TenantId tenant_;
  SnapshotHolder snapshots_;
  Scorer scorer_;
  HashEncoder encoder_;
  Matrix vector_;  // one row: the query's
  TokenList words_;
  std::vector<QueryWord> distinct_;
  std::vector<Ranked> ranked_;
};

}  // namespace tenantd
