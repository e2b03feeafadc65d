#include "worker/store/route_editor.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "worker/router/validate.h"

namespace tenantd {
namespace {

tl::unexpected<Error> about_route(Error error, const RouteDefinition& route) {
  error.field = "route " + route.id + (error.field.empty() ? "" : ": " + error.field);
  return fail(std::move(error));
}

tl::unexpected<Error> about_route(ErrorCode code, const RouteDefinition& route,
                                  std::string message) {
  Error error;
  error.code = code;
  error.message = std::move(message);
  return about_route(std::move(error), route);
}

auto position_of(const std::vector<std::shared_ptr<const RouteBlock>>& blocks,
                 const std::string& id) {
  return std::lower_bound(
      blocks.begin(), blocks.end(), id,
      [](const auto& block, const std::string& wanted) { return block->id < wanted; });
}

std::size_t count_new_utterances(std::span<const RouteEdit> edits) noexcept {
  std::size_t count = 0;
  for (const RouteEdit& edit : edits) {
    count += std::max<std::size_t>(edit.route.utterances.size(), 1);
  }
  return count;
}

bool scores_alike(const RouterSettings& a, const RouterSettings& b) noexcept {
  return a.dense_weight == b.dense_weight && a.lexical_weight == b.lexical_weight &&
         a.aggregation == b.aggregation && a.top_k == b.top_k;
}

}  // namespace

Result<RouteEditor> RouteEditor::open(const ExecutionContext& context, TenantStore& store,
                                      const TenantSettings& settings) {
  if (Status status = validate_settings(settings); !status) return fail(status.error());
  const std::uint32_t dimension = settings.router.dimension;
  Blocks blocks;
  const auto take = [&blocks, dimension](RouteDefinition route) -> Status {
    for (const Utterance& utterance : route.utterances) {
      if (utterance.embedding.empty()) continue;
      if (Status status = validate_vector(utterance.embedding, dimension); !status) {
        return about_route(status.error(), route);
      }
    }
    blocks.push_back(build_route(route, dimension));
    return {};
  };
  const Result<std::uint64_t> version = store.load(context, take);
  if (!version) return fail(version.error());
  RouteEditor editor(store, settings);
  auto first = std::make_shared<RouteSnapshot>();
  first->set = build_route_set(std::move(blocks), dimension);
  first->settings = settings;
  first->calibration = fit_calibration(*first->set, settings.router, editor.searcher_);
  first->version = *version;
  editor.current_ = std::move(first);
  return editor;
}

std::unique_ptr<TenantRouter> RouteEditor::make_router(const ExecutionContext& context) {
  auto router = std::make_unique<TenantRouter>(context.tenant(), current_);
  router_ = router.get();
  return router;
}

Status RouteEditor::publish(const ExecutionContext& context, SnapshotPtr next) {
  current_ = next;
  return router_ != nullptr ? router_->publish(context, std::move(next)) : Status{};
}

Result<EditOutcome> RouteEditor::apply(const ExecutionContext& context,
                                       std::span<RouteEdit> edits) {
  if (edits.empty()) return fail(ErrorCode::invalid_argument, "the batch holds no edit");
  Blocks blocks = current_->set->routes;
  for (RouteEdit& edit : edits) {
    if (Status status = complete(edit); !status) return about_route(status.error(), edit.route);
    if (Status status = stage(edit, blocks); !status) return fail(status.error());
  }
  if (Status status = check_limits(blocks); !status) return fail(status.error());
  auto set = build_route_set(std::move(blocks), current_->set->dimension, current_->set.get());
  if (set->mixed_encoders && !current_->set->mixed_encoders) {
    return fail(ErrorCode::encoder_mismatch,
                "the vectors of a tenant must all be of one encoder; the routes' are of " +
                    current_->set->encoder,
                "replace all routes in one batch, or remove the others first");
  }
  const Result<std::uint64_t> version = store_->apply(context, edits);
  if (!version) return fail(version.error());

  auto next = std::make_shared<RouteSnapshot>();
  next->settings = current_->settings;
  next->version = *version;
  next->edited_since_fit = current_->edited_since_fit + count_new_utterances(edits);
  next->calibration = current_->calibration;
  if (wants_refit(current_->calibration, *set, next->edited_since_fit)) {
    next->calibration = fit_calibration(*set, next->settings.router, searcher_);
    next->edited_since_fit = 0;
  }
  next->set = std::move(set);
  const EditOutcome outcome{*version, next->set->routes.size(), next->set->utterance_count()};
  if (Status status = publish(context, std::move(next)); !status) return fail(status.error());
  return outcome;
}

Status RouteEditor::complete(RouteEdit& edit) {
  const std::uint32_t dimension = current_->settings.router.dimension;
  Status status;
  switch (edit.kind) {
    case RouteEditKind::put:
    case RouteEditKind::add:
      status = validate_route(edit.route, dimension);
      break;
    case RouteEditKind::remove:
      return validate_route_id(edit.route.id);
    case RouteEditKind::add_utterances:
      if (status = validate_route_id(edit.route.id); !status) break;
      if (edit.route.utterances.empty()) {
        return fail(ErrorCode::invalid_argument, "there is no utterance to add");
      }
      for (const Utterance& utterance : edit.route.utterances) {
        if (status = validate_utterance(utterance, dimension); !status) return status;
      }
      break;
    default:
      return fail(ErrorCode::invalid_argument, "the kind of edit is unknown");
  }
  if (!status) return status;
  for (Utterance& utterance : edit.route.utterances) {
    if (status = complete(utterance); !status) return status;
  }
  return {};
}

Status RouteEditor::complete(Utterance& utterance) {
  const RouterSettings& settings = current_->settings.router;
  if (!utterance.embedding.empty()) {
    utterance.encoder = utterance.encoder.empty() ? tenant_encoder_id(settings)
                                                  : canonical_encoder_id(utterance.encoder);
    return {};
  }
  if (!uses_hash_encoder(settings)) {
    if (settings.dense_weight <= 0) return {};  // known by its words only
    return fail(ErrorCode::encoder_unavailable,
                "the encoder " + std::string(tenant_encoder_id(settings)) + " is not built in",
                "send an embedding with each utterance");
  }
  std::vector<float> embedding(settings.dimension);
  if (Status status = encoder_.encode(utterance.text, embedding); !status) return status;
  utterance.embedding = std::move(embedding);
  utterance.encoder = encoder_.id();
  return {};
}

Status RouteEditor::stage(const RouteEdit& edit, Blocks& blocks) const {
  const std::uint32_t dimension = current_->settings.router.dimension;
  const auto position = position_of(blocks, edit.route.id);
  const bool exists = position != blocks.end() && (*position)->id == edit.route.id;
  const auto index = position - blocks.begin();
  switch (edit.kind) {
    case RouteEditKind::add:
      if (exists) {
        return about_route(ErrorCode::already_exists, edit.route, "the route exists already");
      }
      [[fallthrough]];
    case RouteEditKind::put: {
      auto block = build_route(edit.route, dimension);
      if (exists) {
        blocks[static_cast<std::size_t>(index)] = std::move(block);
      } else {
        blocks.insert(position, std::move(block));
      }
      return {};
    }
    case RouteEditKind::add_utterances:
    case RouteEditKind::remove:
      break;
  }
  if (!exists) return about_route(ErrorCode::not_found, edit.route, "there is no such route");
  if (edit.kind == RouteEditKind::remove) {
    blocks.erase(position);
  } else {
    blocks[static_cast<std::size_t>(index)] =
        append_utterances(**position, edit.route.utterances, dimension);
  }
  return {};
}

Status RouteEditor::check_limits(const Blocks& blocks) const {
  const TenantSettings& settings = current_->settings;
  const RouteSet& set = *current_->set;
  std::uint64_t utterances = 0;
  for (const auto& block : blocks) utterances += block->utterance_count;
  // A limit that was lowered below what exists does not forbid edits that don't grow.
  if (blocks.size() > settings.max_routes && blocks.size() > set.routes.size()) {
    return fail(ErrorCode::resource_exhausted,
                "max_routes is " + std::to_string(settings.max_routes));
  }
  const bool grows = utterances > set.utterance_count();
  if (utterances > settings.max_embeddings && grows) {
    return fail(ErrorCode::resource_exhausted,
                "max_embeddings is " + std::to_string(settings.max_embeddings));
  }
  if (utterances >= std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::resource_exhausted, "a router holds at most 2^32 - 2 utterances");
  }
  return {};
}

Status RouteEditor::apply_settings(const ExecutionContext& context,
                                   const TenantSettings& settings) {
  if (Status status = validate_settings(settings); !status) return status;
  const RouterSettings& now = current_->settings.router;
  if (settings.router.dimension != now.dimension ||
      tenant_encoder_id(settings.router) != tenant_encoder_id(now)) {
    return fail(ErrorCode::unsupported, "another dimension or encoder needs a new generation");
  }
  if (Status status = store_->set_max_storage(context, settings.max_storage_bytes); !status) {
    return status;
  }
  auto next = std::make_shared<RouteSnapshot>(*current_);
  next->settings = settings;
  if (!scores_alike(settings.router, now)) {
    next->calibration = fit_calibration(*next->set, settings.router, searcher_);
    next->edited_since_fit = 0;
  }
  return publish(context, std::move(next));
}

Result<bool> RouteEditor::settle(const ExecutionContext& context) {
  if (current_->edited_since_fit == 0) return false;
  auto next = std::make_shared<RouteSnapshot>(*current_);
  next->calibration = fit_calibration(*next->set, next->settings.router, searcher_);
  next->edited_since_fit = 0;
  if (Status status = publish(context, std::move(next)); !status) return fail(status.error());
  return true;
}

}  // namespace tenantd
