#include "worker/router/tenant_router.h"

#include <algorithm>
#include <utility>

#include "worker/router/dot.h"
#include "worker/router/validate.h"

namespace tenantd {
namespace {

tl::unexpected<Error> encoder_mismatch(const RouteSet& set, std::string_view given) {
  const std::string stored = set.mixed_encoders ? "several encoders" : "encoder " + set.encoder;
  return fail(ErrorCode::encoder_mismatch,
              "the query's vector is of encoder " + std::string(given) +
                  ", the routes' vectors are of " + stored,
              "import the routes again with vectors of the query's encoder");
}

}  // namespace

TenantRouter::TenantRouter(TenantId tenant, SnapshotPtr first)
    : tenant_(tenant), snapshots_(std::move(first)) {}

Status TenantRouter::publish(const ExecutionContext& context, SnapshotPtr next) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  snapshots_.publish(std::move(next));
  return {};
}

Result<SnapshotPtr> TenantRouter::snapshot(const ExecutionContext& context) const {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  return snapshots_.latest();
}

Result<RouteDecision> TenantRouter::route(const ExecutionContext& context,
                                          const RouteQuery& query) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  const RouteSnapshot& snapshot = *snapshots_.current();
  prepare(snapshot, {&query, 1});
  search(snapshot);
  return answer(snapshot, query, 0);
}

Result<std::uint64_t> TenantRouter::publication(const ExecutionContext& context) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  (void)snapshots_.current();
  return snapshots_.held_number();
}

Result<TenantRouter::Begun> TenantRouter::begin(const ExecutionContext& context,
                                                const RouteQuery& query) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  const RouteSnapshot& snapshot = *snapshots_.current();
  prepare(snapshot, {&query, 1});
  if (const Status& status = prepared_[0].status; !status) return fail(status.error());
  return Begun{snapshots_.held_number(), signals_[0].vector, snapshot.settings.router.dimension,
               snapshot.set->rules != nullptr};
}

Result<RouteDecision> TenantRouter::finish(const ExecutionContext& context,
                                           const RouteQuery& query) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  const RouteSnapshot& snapshot = *snapshots_.held();
  search(snapshot);
  return answer(snapshot, query, 0);
}

Status TenantRouter::route_batch(const ExecutionContext& context,
                                 std::span<const RouteQuery> queries,
                                 std::vector<Result<RouteDecision>>& out) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  const RouteSnapshot& snapshot = *snapshots_.current();
  out.clear();
  out.reserve(queries.size());
  const std::size_t at_once = Searcher::queries_at_once(*snapshot.set);
  while (!queries.empty()) {
    const auto some = queries.first(std::min(at_once, queries.size()));
    prepare(snapshot, some);
    search(snapshot);
    for (std::size_t i = 0; i < some.size(); ++i) out.push_back(answer(snapshot, some[i], i));
    queries = queries.subspan(some.size());
  }
  return {};
}

// Leaves each query's words and vector, or what is wrong with it, in prepared_ and signals_.
void TenantRouter::prepare(const RouteSnapshot& snapshot, std::span<const RouteQuery> queries) {
  if (prepared_.size() < queries.size()) prepared_.resize(queries.size());
  signals_.assign(queries.size(), QuerySignals{});
  for (std::size_t i = 0; i < queries.size(); ++i) {
    prepared_[i].status = prepare_one(snapshot, queries[i], prepared_[i], signals_[i]);
    if (!prepared_[i].status) signals_[i] = {};
  }
}

// Leaves the searcher ready for all that were prepared.
void TenantRouter::search(const RouteSnapshot& snapshot) {
  searcher_.scan(*snapshot.set, snapshot.scoring, signals_, snapshot.index.get());
}

Status TenantRouter::prepare_one(const RouteSnapshot& snapshot, const RouteQuery& query,
                                 Prepared& prepared, QuerySignals& signals) {
  const RouterSettings& settings = snapshot.settings.router;
  if (Status status = validate_query(query, settings.dimension); !status) return status;
  prepared.words.clear();
  prepared.distinct.clear();
  if (query.text) {
    tokenize(*query.text, prepared.words);
    distinct_words(prepared.words, prepared.distinct);
    signals.words = prepared.distinct;
  }
  prepared.rules.look_up(*snapshot.set, settings, query, prepared.words);
  signals.evidence = prepared.rules.evidence();
  signals.allowed = prepared.rules.allowed();
  if (settings.dense_weight <= 0) return {};
  return prepare_vector(snapshot, query, prepared, signals);
}

Status TenantRouter::prepare_vector(const RouteSnapshot& snapshot, const RouteQuery& query,
                                    Prepared& prepared, QuerySignals& signals) {
  const RouterSettings& settings = snapshot.settings.router;
  const RouteSet& set = *snapshot.set;
  const std::string_view tenants = tenant_encoder_id(settings);
  const bool text_only = query.embedding.empty();
  const std::string_view given =
      text_only ? tenants : encoder_id_of(settings, query.embedding_encoder);
  const bool comparable = set.vector_count == 0 || (!set.mixed_encoders && set.encoder == given);
  if (text_only && snapshot.reencoding && (snapshot.encoder == nullptr || !comparable)) return {};
  if (text_only && snapshot.encoder == nullptr) {
    return fail(ErrorCode::encoder_unavailable,
                "the encoder " + std::string(tenants) + " is not on this host",
                "send the embedding with the query");
  }
  if (!comparable) return encoder_mismatch(set, given);
  // validate_query has looked at the embedding, and nothing is to be scanned.
  if (!text_only && set.routes.empty()) return {};
  if (prepared.vector.dimension() != settings.dimension) {
    prepared.vector = Matrix(1, settings.dimension);
  }
  const std::span<float> row = prepared.vector.row(0);
  if (!text_only) {
    if (!normalise(query.embedding, row)) {
      return fail(ErrorCode::invalid_vector, "the embedding cannot be normalised");
    }
  } else if (!session_of(snapshot.encoder).encode({*query.text, &prepared.words}, row)) {
    // A text without a word is a question that no route answers, not a malformed one.
    return {};
  }
  if (set.routes.empty()) return {};  // checked like any other, but nothing is to be scanned
  prepared.codes.set(row);
  signals.vector = prepared.vector.data();
  signals.codes = prepared.codes.view();
  signals.coarse = prepared.codes.coarse();
  return {};
}

EncoderSession& TenantRouter::session_of(const EncoderPtr& encoder) {
  if (encoder_ != encoder) {
    session_ = encoder->open_session();
    encoder_ = encoder;
  }
  return *session_;
}

Result<RouteDecision> TenantRouter::answer(const RouteSnapshot& snapshot, const RouteQuery& query,
                                           std::size_t index) {
  if (const Status& status = prepared_[index].status; !status) return fail(status.error());
  if (snapshot.set->routes.empty()) return fall_back(snapshot, RouteReason::no_routes);
  const QuerySignals& signals = signals_[index];
  searcher_.select(index);
  const bool is_hashed = query.text && signals.vector != nullptr && query.embedding.empty() &&
                         !snapshot.encoder->knows_meaning();
  RouteDecision decision =
      maker_.decide(snapshot, query, signals, prepared_[index].rules, is_hashed, searcher_);
  if (maker_.best() && signals.vector != nullptr && snapshot.set->vector_count > 0) {
    decision.encoder = snapshot.set->encoder;
  }
  if (query.explain) decision.explanation = explain(snapshot, index, maker_.best());
  return decision;
}

Explanation TenantRouter::explain(const RouteSnapshot& snapshot, std::size_t index,
                                  std::optional<std::uint32_t> best) {
  Explanation explanation;
  explanation.rules = prepared_[index].rules.explain(*snapshot.set, best);
  if (!best) return explanation;
  const RouteBlock& route = *snapshot.set->routes[*best];
  const QuerySignals& signals = signals_[index];
  const TokenList& words = prepared_[index].words;
  explanation.route = route.id;
  if (signals.vector != nullptr) {
    if (const auto nearest = scorer_.nearest(route, signals.vector)) {
      explanation.best_utterance = route.text_of(nearest->utterance);
      explanation.best_similarity = nearest->similarity;
    }
  }
  for (std::size_t w = 0; w < signals.words.size(); ++w) {
    const float weight = searcher_.words().heaviest(w, *best);
    if (weight <= 0) continue;
    explanation.words.push_back(
        {std::string(words.view(words.tokens[signals.words[w].token])), weight});
  }
  std::sort(explanation.words.begin(), explanation.words.end(),
            [](const WordWeight& a, const WordWeight& b) {
              return a.weight != b.weight ? a.weight > b.weight : a.word < b.word;
            });
  return explanation;
}

}  // namespace tenantd
