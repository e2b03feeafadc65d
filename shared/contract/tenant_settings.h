// What a worker is told about a tenant: the part of the tenant's file that the worker itself
// applies.
//
// Written by the supervisor (from a validated file), read by the worker; sent once in the launch
// spec and again in a link message when the file changes. Fixed size, no pointers, same machine.
#pragma once

#include <cstdint>
#include <type_traits>

#include "shared/base/id_limits.h"
#include "shared/contract/fixed_text.h"

namespace tenantd {

// `automatic`: the worker takes what does best on the tenant's own utterances.
enum class Aggregation : std::uint8_t {
  max = 0,
  mean = 1,
  top_k_mean = 2,
  centroid = 3,
  prototype_mix = 4,  // weight · centroid + (1 - weight) · top_k_mean
  automatic = 5,
};

// How the vectors near a query are found.
enum class VectorIndexKind : std::uint8_t {
  exact = 0,  // all are read
  ivf = 1,    // an inverted file, where its measured recall is high enough
};

struct RouterSettings {
  std::uint32_t dimension = 384;  // length of every embedding, 1..8192
  float threshold = 0.5F;       // confidence in [0,1] below which the fallback answers; 0 is valid
  float dense_weight = 0.7F;    // ≥ 0, not both weights 0
  float lexical_weight = 0.3F;  // ≥ 0
  float rule_weight = 1.0F;     // ≥ 0; 0: `signal` rules say nothing
  std::uint16_t top_k = 3;      // of top_k_mean and prototype_mix, ≥ 1
  Aggregation aggregation = Aggregation::automatic;
  std::uint8_t cache_enabled = 0;  // of answers; values are kept in any case
  // In ten-thousandths, ≤ 10,000: the lead in confidence that an answer needs over the second
  // route, and the centroid's share of prototype_mix.
  std::uint16_t margin_e4 = 0;
  std::uint16_t prototype_weight_e4 = 5000;
  VectorIndexKind index = VectorIndexKind::exact;
  std::uint8_t reserved = 0;
  std::uint16_t index_recall_e4 = 9900;  // recall@1 below which an index does not answer, ≤ 10,000
  // "hash" is built in; any other name means embeddings come with requests
  FixedText<max_encoder_id_bytes + 1> encoder{};
  FixedText<max_route_id_bytes + 1> fallback_route{};  // need not exist as a route
  friend bool operator==(const RouterSettings&, const RouterSettings&) = default;
};

struct TenantSettings {
  FixedText<64> tenant_id{};
  RouterSettings router{};
  std::uint32_t max_routes = 1000;
  std::uint32_t max_batch_size = 32;
  std::uint64_t max_embeddings = 1'000'000;
  std::uint64_t max_storage_bytes = 0;        // 0: no bound of ours
  std::uint32_t max_attachments = 64;         // connections at once
  std::uint32_t max_concurrent_requests = 0;  // in flight over all attachments; 0: no bound of ours
  std::uint64_t max_cache_bytes = 16ULL << 20U;  // of the tenant's caches together
  std::uint32_t max_cache_entries = 100'000;     // likewise
  // In ten-thousandths, ≤ 10,000: the cosine from which a remembered query's answer is given to
  // another one. 10,000: only to the same.
  std::uint16_t cache_similarity_e4 = 10'000;
  // 1: a pooled worker died while it ran this tenant's request; what may have been that one is not
  // run again. The supervisor's word, no key of a file.
  std::uint16_t suspect = 0;
  // Of the requests that are answered, in millionths: how many the history of executions keeps.
  std::uint32_t executions_sample_e6 = 0;
  std::uint32_t max_executions = 0;  // rows of that history; the oldest go first
  std::uint32_t retention_days = 0;  // 0: what is recorded stays until there is no room
  // Of a tenant of pooled workers that has one (shards.h): where its rows are. 0: in its home
  // shard. The supervisor's word, no key of a file.
  std::uint32_t own_shard = 0;
  friend bool operator==(const TenantSettings&, const TenantSettings&) = default;
};

static_assert(std::is_trivially_copyable_v<TenantSettings>);
static_assert(sizeof(RouterSettings) == 224 && sizeof(TenantSettings) == 352);

}  // namespace tenantd
