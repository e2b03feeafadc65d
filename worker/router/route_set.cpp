#include "worker/router/route_set.h"

#include <algorithm>

namespace tenantd {

std::shared_ptr<const RouteSet> build_route_set(
    std::vector<std::shared_ptr<const RouteBlock>> routes, std::uint32_t dimension) {
  auto set = std::make_shared<RouteSet>();
  set->dimension = dimension;
  set->routes = std::move(routes);
  set->first_utterance.reserve(set->routes.size() + 1);
  set->first_utterance.push_back(0);
  for (const auto& route : set->routes) {
    const auto count = static_cast<std::uint32_t>(route->utterance_count);
    set->first_utterance.push_back(set->first_utterance.back() + count);
    set->route_of.resize(set->first_utterance.back(),
                         static_cast<std::uint32_t>(set->first_utterance.size() - 2));
    set->vector_count += route->vector_count;
    set->text_count += route->text_count;
    set->longest_route = std::max(set->longest_route, route->utterance_count);
    for (const auto& chunk : route->chunks) {
      if (chunk->encoder.empty()) continue;
      if (set->encoder.empty()) set->encoder = chunk->encoder;
      if (set->encoder != chunk->encoder) set->mixed_encoders = true;
    }
  }
  set->lexical = LexicalIndex(set->routes);
  return set;
}

std::optional<std::size_t> RouteSet::find(std::string_view id) const noexcept {
  const auto it = std::lower_bound(routes.begin(), routes.end(), id,
                                   [](const auto& route, std::string_view wanted) {
                                     return std::string_view(route->id) < wanted;
                                   });
  if (it == routes.end() || (*it)->id != id) return std::nullopt;
  return static_cast<std::size_t>(it - routes.begin());
}

}  // namespace tenantd
