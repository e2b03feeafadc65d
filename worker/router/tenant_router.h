// A tenant's router: answers queries from the current snapshot.
//
// Runs in: worker, loop thread (route), editor thread (publish). Queries come from clients and are
// validated here. The tenant comes from the execution context only.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "shared/base/error.h"
#include "worker/encoder/encoder.h"
#include "worker/router/decision.h"
#include "worker/router/scorer.h"
#include "worker/router/searcher.h"
#include "worker/router/snapshot_holder.h"
#include "worker/router/types.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

class TenantRouter {
 public:
  // `first` is not null and its settings are valid (validate_settings).
  TenantRouter(TenantId tenant, SnapshotPtr first);

  // Loop thread only. Never blocks; allocates only the decision once its scratch has grown, and
  // what RE2 needs where routes have patterns. Errors:
  // no_tenant (the context is another tenant's), invalid_argument, wrong_dimension, invalid_vector,
  // encoder_mismatch (the stored vectors are another encoder's), encoder_unavailable (a text alone,
  // and the tenant's encoder is not here).
  [[nodiscard]] Result<RouteDecision> route(const ExecutionContext& context,
                                            const RouteQuery& query);
  // The same for several queries of one snapshot, each with its own decision or error in `out`,
  // which is replaced; their decisions are those of route(). Each vector is read once for many of
  // them. Error of the whole: no_tenant.
  [[nodiscard]] Status route_batch(const ExecutionContext& context,
                                   std::span<const RouteQuery> queries,
                                   std::vector<Result<RouteDecision>>& out);
  // What the router answers from has this number: another one whenever a decision could be another,
  // because of edits, settings, calibration, encoder or index. Loop thread. no_tenant.
  [[nodiscard]] Result<std::uint64_t> publication(const ExecutionContext& context);
  // route() in two halves, for who wants to look at a query's vector in between. finish() takes the
  // same query, with no other call before it. Errors as route()'s.
  struct Begun {
    std::uint64_t publication = 0;  // that finish() answers from
    const float* vector = nullptr;  // as QuerySignals::vector, until the next call; null: none
    std::size_t dimension = 0;
    bool has_rules = false;  // a route has
  };
  [[nodiscard]] Result<Begun> begin(const ExecutionContext& context, const RouteQuery& query);
  [[nodiscard]] Result<RouteDecision> finish(const ExecutionContext& context,
                                             const RouteQuery& query);
  // Editor thread. no_tenant.
  [[nodiscard]] Status publish(const ExecutionContext& context, SnapshotPtr next);
  // Any thread: to list, show and export routes. no_tenant.
  [[nodiscard]] Result<SnapshotPtr> snapshot(const ExecutionContext& context) const;

 private:
  // A query's own scratch, kept for the next.
  struct Prepared {
    Matrix vector;  // one row
    QuantisedQuery codes;
    TokenList words;
    std::vector<QueryWord> distinct;
    QueryRules rules;
    Status status;
  };
  void prepare(const RouteSnapshot& snapshot, std::span<const RouteQuery> queries);
  void search(const RouteSnapshot& snapshot);
  [[nodiscard]] Status prepare_one(const RouteSnapshot& snapshot, const RouteQuery& query,
                                   Prepared& prepared, QuerySignals& signals);
  [[nodiscard]] Status prepare_vector(const RouteSnapshot& snapshot, const RouteQuery& query,
                                      Prepared& prepared, QuerySignals& signals);
  [[nodiscard]] EncoderSession& session_of(const EncoderPtr& encoder);
  [[nodiscard]] Result<RouteDecision> answer(const RouteSnapshot& snapshot, const RouteQuery& query,
                                             std::size_t index);
  [[nodiscard]] Explanation explain(const RouteSnapshot& snapshot, std::size_t index,
                                    std::optional<std::uint32_t> best);

  TenantId tenant_;
  SnapshotHolder snapshots_;
  Searcher searcher_;
  DecisionMaker maker_;
  Scorer scorer_;                            // of explanations
  EncoderPtr encoder_;                       // whose session the next is
  std::unique_ptr<EncoderSession> session_;  // null with encoder_
  std::vector<Prepared> prepared_;           // one a query of a batch
  std::vector<QuerySignals> signals_;        // likewise
};

}  // namespace tenantd
