#include "worker/store/route_loading.h"

#include <algorithm>
#include <utility>

#include "worker/router/validate.h"

namespace tenantd {

tl::unexpected<Error> about_route(Error error, const RouteDefinition& route) {
  error.field = "route " + route.id + (error.field.empty() ? "" : ": " + error.field);
  return fail(std::move(error));
}

Result<LoadedRoutes> load_routes(const ExecutionContext& context, TenantStore& store,
                                 std::uint32_t dimension, const std::optional<RouteImage>& image) {
  LoadedRoutes loaded;
  std::vector<std::shared_ptr<const RouteBlock>> blocks;
  bool has_vectors = image && image->has_vectors();
  if (has_vectors) dimension = image->set.dimension;
  const auto take = [&](RouteDefinition route) -> Status {
    for (const Utterance& utterance : route.utterances) {
      if (utterance.embedding.empty()) continue;
      if (!std::exchange(has_vectors, true)) {
        dimension = static_cast<std::uint32_t>(utterance.embedding.size());
      }
      if (Status status = validate_vector(utterance.embedding, dimension); !status) {
        return about_route(status.error(), route);
      }
    }
    if (Status status = validate_rules(route.rules); !status) {
      return about_route(status.error(), route);
    }
    loaded.changed_utterances += std::max<std::size_t>(1, route.utterances.size());
    blocks.push_back(build_route(route, dimension));
    return {};
  };
  std::size_t known_routes = 0;
  const auto knows = [&](const StoredRoute& stored) {
    const auto* const known = image->find(stored.id);
    if (known == nullptr || stored.version > image->version ||
        stored.utterances != (*known)->utterance_count) {
      return false;
    }
    blocks.push_back(*known);
    ++known_routes;
    return true;
  };
  const Result<std::uint64_t> version =
      image ? store.load(context, take, knows) : store.load(context, take);
  if (!version) return fail(version.error());
  loaded.version = *version;
  if (image) loaded.changed_utterances += image->set.routes.size() - known_routes;
  loaded.set = build_route_set(std::move(blocks), dimension, image ? &image->set : nullptr);
  return loaded;
}

}  // namespace tenantd
