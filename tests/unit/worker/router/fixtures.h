// Small routers for the tests of router and store.
#pragma once

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "worker/encoder/encoder_shelf.h"
#include "worker/encoder/hash_encoder.h"
#include "worker/router/calibration.h"
#include "worker/router/snapshot.h"
#include "worker/router/tenant_router.h"
#include "worker/router/validate.h"

namespace tenantd::fixtures {

inline TenantBinding binding(std::string_view id) {
  return TenantBinding(TenantId::parse(id).value());
}

inline TenantSettings settings(std::uint32_t dimension, std::string_view encoder = "hash") {
  TenantSettings settings;
  (void)settings.tenant_id.assign("acme");
  (void)settings.router.encoder.assign(encoder);
  (void)settings.router.fallback_route.assign("fallback");
  settings.router.dimension = dimension;
  return settings;
}

inline RouteDefinition text_route(std::string id, const std::vector<std::string>& texts,
                                  std::uint32_t dimension) {
  RouteDefinition route;
  route.id = std::move(id);
  HashEncoder encoder(dimension);
  for (const std::string& text : texts) {
    Utterance& utterance = route.utterances.emplace_back();
    utterance.text = text;
    utterance.encoder = HashEncoder::vector_id;
    utterance.embedding.resize(dimension);
    if (!encoder.encode(text, utterance.embedding)) std::abort();
  }
  return route;
}

// `definitions` ascending by id.
inline SnapshotPtr snapshot(const std::vector<RouteDefinition>& definitions,
                            const TenantSettings& settings) {
  std::vector<std::shared_ptr<const RouteBlock>> blocks;
  for (const RouteDefinition& definition : definitions) {
    blocks.push_back(build_route(definition, settings.router.dimension));
  }
  auto snapshot = std::make_shared<RouteSnapshot>();
  snapshot->set = build_route_set(std::move(blocks), settings.router.dimension);
  snapshot->settings = settings;
  snapshot->encoder =
      EncoderShelf().open(tenant_encoder_id(settings.router), settings.router.dimension).value();
  Searcher searcher;
  calibrate(*snapshot, searcher);
  snapshot->version = 1;
  return snapshot;
}

inline std::vector<float> random_vector(std::mt19937& random, std::uint32_t dimension) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimension);
  for (float& value : vector) value = normal(random);
  return vector;
}

}  // namespace tenantd::fixtures
