#include "worker/router/tenant_router.h"

#include <algorithm>
#include <utility>

#include "worker/router/validate.h"

namespace tenantd {
namespace {

// Hashed vectors know letters, not meaning: without one word in common they may order routes but
// must not vouch for one, so confidence stays below one half.
constexpr float evidence_without_words = 0.49F;

RouteDecision fall_back(const RouteSnapshot& snapshot, RouteReason reason) {
  RouteDecision decision;
  decision.route = snapshot.settings.router.fallback_route.view();
  decision.is_fallback = true;
  decision.reason = reason;
  decision.threshold = snapshot.settings.router.threshold;
  decision.snapshot_version = snapshot.version;
  return decision;
}

RouteScores scores_of(const SignalScores& signals, const FusedScore& fused) noexcept {
  return {signals.dense, signals.lexical, fused.score};
}

tl::unexpected<Error> encoder_mismatch(const RouteSet& set, std::string_view given) {
  const std::string stored = set.mixed_encoders ? "several encoders" : "encoder " + set.encoder;
  return fail(ErrorCode::encoder_mismatch,
              "the query's vector is of encoder " + std::string(given) +
                  ", the routes' vectors are of " + stored,
              "import the routes again with vectors of the query's encoder");
}

}  // namespace

TenantRouter::TenantRouter(TenantId tenant, SnapshotPtr first)
    : tenant_(tenant),
      snapshots_(first),
      encoder_(first->settings.router.dimension),
      vector_(1, first->settings.router.dimension) {}

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
  const RouterSettings& settings = snapshot.settings.router;
  if (const Status status = validate_query(query, settings.dimension); !status) {
    return fail(status.error());
  }
  QuerySignals signals;
  if (const Status status = prepare(snapshot, query, signals); !status) {
    return fail(status.error());
  }
  if (snapshot.set->routes.empty()) return fall_back(snapshot, RouteReason::no_routes);
  const auto scores = scorer_.score(*snapshot.set, settings, signals);
  rank(snapshot, scores, std::size_t{query.alternatives_limit} + 1);
  const bool nothing_found =
      ranked_.empty() || (signals.vector == nullptr && ranked_.front().fused.score <= 0);
  if (nothing_found) return fall_back(snapshot, RouteReason::no_signal);

  const bool hashed_text = query.text && signals.vector != nullptr && query.embedding.empty();
  const float evidence = hashed_text && !scorer_.shares_word() ? evidence_without_words : 1.0F;
  RouteDecision decision = decide(snapshot, query, scores, evidence);
  if (signals.vector != nullptr && snapshot.set->vector_count > 0) {
    decision.encoder = snapshot.set->encoder;
  }
  if (query.explain) decision.explanation = explain(snapshot, signals, ranked_.front().route);
  return decision;
}

Status TenantRouter::prepare(const RouteSnapshot& snapshot, const RouteQuery& query,
                             QuerySignals& signals) {
  words_.clear();
  distinct_.clear();
  if (query.text) {
    tokenize(*query.text, words_);
    distinct_words(words_, distinct_);
    signals.words = distinct_;
  }
  if (snapshot.settings.router.dense_weight <= 0) return {};
  return prepare_vector(snapshot, query, signals);
}

Status TenantRouter::prepare_vector(const RouteSnapshot& snapshot, const RouteQuery& query,
                                    QuerySignals& signals) {
  const RouterSettings& settings = snapshot.settings.router;
  const RouteSet& set = *snapshot.set;
  const std::string_view tenants = tenant_encoder_id(settings);
  std::string_view given = tenants;
  if (!query.embedding.empty() && !query.embedding_encoder.empty()) {
    given = canonical_encoder_id(query.embedding_encoder);
  }
  if (query.embedding.empty() && !uses_hash_encoder(settings)) {
    return fail(ErrorCode::encoder_unavailable,
                "the encoder " + std::string(tenants) + " is not built in",
                "send the embedding with the query");
  }
  if (set.vector_count > 0 && (set.mixed_encoders || set.encoder != given)) {
    return encoder_mismatch(set, given);
  }
  if (!query.embedding.empty()) {
    if (!normalise(query.embedding, vector_.row(0))) {
      return fail(ErrorCode::invalid_vector, "the embedding cannot be normalised");
    }
    signals.vector = vector_.data();
    return {};
  }
  // A text without a word is a question that no route answers, not a malformed one.
  if (encoder_.encode(words_, vector_.row(0))) signals.vector = vector_.data();
  return {};
}

void TenantRouter::rank(const RouteSnapshot& snapshot, std::span<const SignalScores> scores,
                        std::size_t wanted) {
  ranked_.clear();
  for (std::uint32_t r = 0; r < scores.size(); ++r) {
    const FusedScore fused = fuse(scores[r], snapshot.settings.router);
    if (fused.mode == ScoreMode::none) continue;
    ranked_.push_back({r, snapshot.calibration.logit(fused), fused});
  }
  const std::size_t kept = std::min(wanted, ranked_.size());
  std::partial_sort(ranked_.begin(), ranked_.begin() + static_cast<std::ptrdiff_t>(kept),
                    ranked_.end(), [](const Ranked& a, const Ranked& b) {
                      return a.logit != b.logit ? a.logit > b.logit : a.route < b.route;
                    });
  ranked_.resize(kept);
}

RouteDecision TenantRouter::decide(const RouteSnapshot& snapshot, const RouteQuery& query,
                                   std::span<const SignalScores> scores, float evidence) const {
  const auto& routes = snapshot.set->routes;
  const Ranked& best = ranked_.front();
  const RouteBlock& best_route = *routes[best.route];
  RouteDecision decision = fall_back(snapshot, RouteReason::below_threshold);
  decision.confidence = evidence * probability(best.logit);
  decision.threshold = best_route.threshold.value_or(snapshot.settings.router.threshold);
  decision.scores = scores_of(scores[best.route], best.fused);
  if (decision.confidence >= decision.threshold) {
    decision.route = best_route.id;
    decision.is_fallback = false;
    decision.reason = RouteReason::matched;
  }
  const std::size_t first = decision.is_fallback ? 0 : 1;
  const std::size_t end = std::min(first + query.alternatives_limit, ranked_.size());
  if (end > first) decision.alternatives.reserve(end - first);
  for (std::size_t i = first; i < end; ++i) {
    const Ranked& other = ranked_[i];
    decision.alternatives.push_back({routes[other.route]->id, evidence * probability(other.logit),
                                     scores_of(scores[other.route], other.fused)});
  }
  return decision;
}

Explanation TenantRouter::explain(const RouteSnapshot& snapshot, const QuerySignals& signals,
                                  std::uint32_t best) {
  const RouteSet& set = *snapshot.set;
  const RouteBlock& route = *set.routes[best];
  Explanation explanation;
  explanation.route = route.id;
  if (signals.vector != nullptr) {
    if (const auto nearest = scorer_.nearest(route, signals.vector)) {
      explanation.best_utterance = route.text_of(nearest->utterance);
      explanation.best_similarity = nearest->similarity;
    }
  }
  const std::uint32_t begin = set.first_utterance[best];
  const std::uint32_t end = set.first_utterance[best + 1];
  for (const QueryWord& word : signals.words) {
    float weight = 0;  // in the utterance of the route where it weighs most
    const auto postings = set.lexical.find(word.hash);
    auto it = std::lower_bound(
        postings.begin(), postings.end(), begin,
        [](const Posting& posting, std::uint32_t wanted) { return posting.utterance < wanted; });
    for (; it != postings.end() && it->utterance < end; ++it) {
      weight = std::max(weight, it->impact * word.weight);
    }
    if (weight <= 0) continue;
    explanation.words.push_back({std::string(words_.view(words_.tokens[word.token])), weight});
  }
  std::sort(explanation.words.begin(), explanation.words.end(),
            [](const WordWeight& a, const WordWeight& b) {
              return a.weight != b.weight ? a.weight > b.weight : a.word < b.word;
            });
  return explanation;
}

}  // namespace tenantd
