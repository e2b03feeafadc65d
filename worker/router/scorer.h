// Scores one route by multiplying all of its vectors: what a confidence is fitted on, where an
// utterance of the route is left out, and what an explanation names.
//
// Runs in: worker; one object a thread. Owns the scratch memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shared/contract/tenant_settings.h"
#include "worker/router/kernels/kernels.h"
#include "worker/router/query.h"
#include "worker/router/route_set.h"
#include "worker/router/word_search.h"

namespace tenantd {

class Scorer {
 public:
  explicit Scorer(const Kernels& kernels = best_kernels()) noexcept : kernels_(&kernels) {}

  // `words` has looked up the query's words. `left_out`: an utterance of the route that is treated
  // as if it were not there. Only signals with a weight above 0 are computed.
  [[nodiscard]] SignalScores score(const RouteSet& set, const RouterSettings& settings,
                                   const QuerySignals& query, WordSearch& words,
                                   std::uint32_t route,
                                   std::optional<std::uint32_t> left_out = std::nullopt);

  struct Nearest {
    std::size_t utterance = 0;  // in the route
    float similarity = 0;
  };
  // Nearest utterance of a route; nothing if it has no vectors.
  [[nodiscard]] std::optional<Nearest> nearest(const RouteBlock& route, const float* vector);

 private:
  float dense_score(const RouteBlock& route, const RouterSettings& settings, const float* vector,
                    std::optional<std::uint32_t> left_out);
  float centroid_score(const RouteBlock& route, bool as_mean, const float* vector,
                       std::optional<std::uint32_t> left_out);
  std::span<float> similarities(const RouteBlock& route, const float* vector,
                                std::optional<std::uint32_t> left_out);

  const Kernels* kernels_;
  std::vector<float> similarities_;
};

}  // namespace tenantd
