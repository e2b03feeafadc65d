#include "worker/cache/routing_cache.h"

#include <algorithm>
#include <utility>

namespace tenantd {
namespace {

// Nothing here has a time to live.
constexpr std::uint64_t no_time = 0;
constexpr std::uint64_t similar_share = 4;
constexpr std::uint64_t sighting_bytes = RoutingCache::sightings * sizeof(std::uint32_t);

CacheBounds bounds_of_same(const RoutingCache::Bounds& bounds) noexcept {
  CacheBounds same = bounds.all;
  if (bounds.similarity < 1) same.max_bytes -= same.max_bytes / similar_share;
  same.max_bytes -= std::min(same.max_bytes, sighting_bytes);
  return same;
}

std::uint64_t bound_of_similar(const RoutingCache::Bounds& bounds) noexcept {
  return bounds.similarity < 1 ? bounds.all.max_bytes / similar_share : 0;
}

}  // namespace

RoutingCache::RoutingCache(TenantId tenant, Bounds bounds)
    : tenant_(tenant), bounds_(bounds), same_(bounds_of_same(bounds)) {
  similar_.set_bound(bound_of_similar(bounds));
}

void RoutingCache::hold(std::uint64_t publication) {
  if (publication == publication_) return;
  if (same_.clear() > 0 || similar_.count() > 0) ++dropped_;
  similar_.clear();
  publication_ = publication;
}

Result<RouteDecision> RoutingCache::route(const ExecutionContext& context, TenantRouter& router,
                                          const RouteQuery& query) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  const auto publication = router.publication(context);
  if (!publication) return fail(publication.error());
  hold(*publication);
  if (query.explain || same_.bounds().max_entries == 0) return router.route(context, query);
  Result<RouteDecision> decision;
  key_.assign(query);
  if (key_.bytes.size() > max_query_bytes) return router.route(context, query);
  const HashedKey key(key_.bytes);
  if (look_up(key, *decision)) return decision;
  const auto begun = router.begin(context, query);
  if (!begun) return fail(begun.error());
  hold(begun->publication);  // another state may have come meanwhile
  const bool may_resemble = seeks_similar(*begun, query);
  if (may_resemble && look_up_similar(*begun, *decision)) return decision;
  decision = router.finish(context, query);
  if (!decision) return decision;
  keep(key, *decision, may_resemble);
  if (may_resemble) similar_.add(begun->vector, begun->dimension, key_.options(), answer_);
  return decision;
}

Status RoutingCache::route_batch(const ExecutionContext& context, TenantRouter& router,
                                 std::span<const RouteQuery> queries,
                                 std::vector<Result<RouteDecision>>& out) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  const auto publication = router.publication(context);
  if (!publication) return fail(publication.error());
  hold(*publication);
  if (same_.bounds().max_entries == 0) return router.route_batch(context, queries, out);
  out.assign(queries.size(), Result<RouteDecision>());
  missed_.clear();
  missed_at_.clear();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!queries[i].explain) {
      key_.assign(queries[i]);
      if (key_.bytes.size() <= max_query_bytes && look_up(key_.bytes, *out[i])) continue;
    }
    missed_.push_back(queries[i]);
    missed_at_.push_back(i);
  }
  if (missed_.empty()) return {};
  if (Status status = router.route_batch(context, missed_, computed_); !status) return status;
  const auto after = router.publication(context);
  if (!after || *after != publication_) {
    // Another state may have come between look-ups and search: all answers are to be of one.
    return router.route_batch(context, queries, out);
  }
  for (std::size_t m = 0; m < missed_.size(); ++m) {
    if (computed_[m] && !missed_[m].explain) {
      key_.assign(missed_[m]);
      if (key_.bytes.size() <= max_query_bytes) keep(key_.bytes, *computed_[m], false);
    }
    out[missed_at_[m]] = std::move(computed_[m]);
  }
  return {};
}

bool RoutingCache::look_up(const HashedKey& key, RouteDecision& out) {
  const auto found = same_.find(key, no_time);
  if (!found || !read_decision(found->value, out)) return false;
  out.source = DecisionSource::cached;
  out.source_similarity = 1;
  return true;
}

bool RoutingCache::look_up_similar(const TenantRouter::Begun& begun, RouteDecision& out) {
  const auto found =
      similar_.find(begun.vector, begun.dimension, key_.options(), bounds_.similarity);
  if (!found || !read_decision(found->answer, out)) return false;
  out.source = DecisionSource::similar;
  out.source_similarity = found->similarity;
  ++similar_hits_;
  return true;
}

// A rule speaks about a text's words, which a vector does not know: where routes have rules a text
// is never answered with another one's.
bool RoutingCache::seeks_similar(const TenantRouter::Begun& begun,
                                 const RouteQuery& query) const noexcept {
  return bounds_.similarity < 1 && begun.vector != nullptr && !(begun.has_rules && query.text);
}

void RoutingCache::keep(const HashedKey& key, const RouteDecision& decision, bool in_any_case) {
  // About as large as the last one.
  const bool is_kept = !same_.is_full_for(key.bytes.size(), answer_.size()) || was_seen(key);
  if (is_kept || in_any_case) write_decision(decision, answer_);
  if (!is_kept) return;
  // What is too large for the bounds is not kept.
  (void)same_.put(key, answer_, 0, 0, no_time);
}

bool RoutingCache::was_seen(const HashedKey& key) {
  seen_.resize(sightings);
  constexpr unsigned half = 32;
  const auto mark = static_cast<std::uint32_t>(key.hash >> half);
  return std::exchange(seen_[key.hash % sightings], mark) == mark;
}

Result<RoutingCache::Stats> RoutingCache::stats(const ExecutionContext& context) const {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  return Stats{
      same_.counts(),  bounds_.all,
      same_.entries(), same_.bytes() + similar_.bytes() + seen_.capacity() * sizeof(std::uint32_t),
      similar_hits_,   similar_.count(),
      dropped_};
}

Status RoutingCache::set_bounds(const ExecutionContext& context, Bounds bounds) {
  if (context.tenant() != tenant_) return fail(ErrorCode::no_tenant, "no such tenant here");
  bounds_ = bounds;
  same_.set_bounds(bounds_of_same(bounds), no_time);
  similar_.set_bound(bound_of_similar(bounds));
  if (bounds.all.max_entries == 0) std::vector<std::uint32_t>().swap(seen_);
  return {};
}

}  // namespace tenantd
