#include "worker/store/route_editor.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "worker/router/validate.h"
#include "worker/store/route_loading.h"

namespace tenantd {
namespace {

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
  for (const auto& edit : edits) count += std::max<std::size_t>(1, edit.route.utterances.size());
  return count;
}

}  // namespace

Result<RouteEditor> RouteEditor::open(const ExecutionContext& context, TenantStore& store,
                                      const TenantSettings& settings, const EncoderShelf& shelf,
                                      ImageKeeper images) {
  if (Status status = validate_settings(settings); !status) return fail(status.error());
  const std::string wanted(tenant_encoder_id(settings.router));
  const std::uint32_t dimension = settings.router.dimension;
  auto target = shelf.open(wanted, dimension);
  if (!target) return fail(target.error());
  const std::optional<RouteImage> image = images.read(context, store);
  auto loaded = load_routes(context, store, dimension, image);
  if (!loaded) return fail(loaded.error());
  if (*target == nullptr && loaded->set->dimension != dimension) {
    return fail(ErrorCode::wrong_dimension,
                "the stored embeddings have " + std::to_string(loaded->set->dimension) +
                    " floats, this tenant's have " + std::to_string(dimension));
  }
  RouteEditor editor(store);
  editor.wanted_ = settings.router;
  auto first = std::make_shared<RouteSnapshot>();
  first->set = std::move(loaded->set);
  first->settings = settings;
  first->encoder = *target;
  first->version = loaded->version;
  const RouteSet& set = *first->set;
  const bool lacks_vectors = set.vector_count == 0 && set.text_count > 0;
  const bool other = !set.encoder.empty() && (set.encoder != wanted || set.mixed_encoders);
  first->reencoding = *target != nullptr && (other || lacks_vectors);
  if (first->reencoding && other) {
    first->settings.router.dimension = set.dimension;
    first->settings.router.encoder.assign_truncated(set.encoder);
    // An encoder that is not here any more leaves the words to decide.
    first->encoder = shelf.open(set.encoder, set.dimension).value_or(EncoderPtr());
  }
  editor.fit(*first, image ? &*image : nullptr, loaded->changed_utterances);
  if (first->encoder != nullptr) editor.session_ = first->encoder->open_session();
  editor.current_ = std::move(first);
  if (image) images.note_edited(loaded->changed_utterances);
  editor.images_ = std::move(images);
  editor.is_verified_ = !image;
  if (editor.current_->reencoding) editor.begin_reencoding(context, std::move(*target));
  return editor;
}

// The image's calibration serves where the routes are those that it was fitted to, or soon will be
// calibrated anew.
void RouteEditor::fit(RouteSnapshot& first, const RouteImage* image, std::size_t changed) {
  if (image != nullptr && fits_alike(image->fitted_for, first.settings.router)) {
    first.calibration = image->calibration;
    first.scoring = first.calibration.decide(first.settings.router);
    first.edited_since_fit = image->edited_since_fit + changed;
    if (first.edited_since_fit == 0 ||
        !wants_refit(first.calibration, *first.set, first.edited_since_fit)) {
      return;
    }
  }
  calibrate(first, searcher_);
}

std::unique_ptr<TenantRouter> RouteEditor::make_router(const ExecutionContext& context) {
  auto router = std::make_unique<TenantRouter>(context.tenant(), current_);
  router_ = router.get();
  return router;
}

void RouteEditor::keep_index(const std::string& directory) {
  auto first = std::make_shared<RouteSnapshot>(*current_);
  index_.restore(directory + "/routes.index", directory + "/routes.vectors", *first);
  current_ = std::move(first);
}

Status RouteEditor::publish(const ExecutionContext& context, std::shared_ptr<RouteSnapshot> next) {
  index_.place(*next);
  current_ = next;
  return router_ != nullptr ? router_->publish(context, std::move(next)) : Status{};
}

Result<EditOutcome> RouteEditor::apply(const ExecutionContext& context,
                                       std::span<RouteEdit> edits) {
  Blocks blocks = current_->set->routes;
  if (Status status = prepare(edits, blocks); !status) return fail(status.error());
  return commit(context, edits, std::move(blocks));
}

std::vector<Result<EditOutcome>> RouteEditor::apply_all(const ExecutionContext& context,
                                                        std::span<std::vector<RouteEdit>> batches) {
  struct Range {
    std::size_t batch;
    std::size_t first;
    std::size_t count;
  };
  std::vector<Result<EditOutcome>> outcomes(batches.size(), EditOutcome{});
  std::vector<Range> prepared;
  std::vector<RouteEdit> all;
  Blocks blocks = current_->set->routes;
  // Re-encoding takes no vector, not even one that was made here for a first attempt.
  const bool together = batches.size() > 1 && !reencoding_;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    if (!together) {
      outcomes[b] = apply(context, batches[b]);
      continue;
    }
    Blocks next = blocks;
    if (Status status = prepare(batches[b], next); !status) {
      outcomes[b] = fail(status.error());
      continue;
    }
    blocks = std::move(next);
    prepared.push_back({b, all.size(), batches[b].size()});
    std::ranges::move(batches[b], std::back_inserter(all));
  }
  if (prepared.empty()) return outcomes;
  const Result<EditOutcome> outcome = commit(context, all, std::move(blocks));
  for (const Range& range : prepared) {
    // Who of them cannot be stored shows when each is by itself.
    outcomes[range.batch] = outcome || prepared.size() == 1
                                ? outcome
                                : apply(context, std::span(all).subspan(range.first, range.count));
  }
  return outcomes;
}

// Validates, encodes and makes the blocks of `edits` in `blocks`, which is of no use on failure.
Status RouteEditor::prepare(std::span<RouteEdit> edits, Blocks& blocks) {
  if (edits.empty()) return fail(ErrorCode::invalid_argument, "the batch holds no edit");
  for (RouteEdit& edit : edits) {
    if (Status status = complete(edit); !status) return about_route(status.error(), edit.route);
    if (Status status = stage(edit, blocks); !status) return status;
  }
  return check_limits(blocks);
}

Result<EditOutcome> RouteEditor::commit(const ExecutionContext& context,
                                        std::span<const RouteEdit> edits, Blocks blocks) {
  auto set = build_route_set(std::move(blocks), current_->set->dimension, current_->set.get());
  if (Status status = check_rule_limits(set->rules.get()); !status) return fail(status.error());
  if (set->mixed_encoders && !current_->set->mixed_encoders) {
    return fail(ErrorCode::encoder_mismatch,
                "the vectors of a tenant must all be of one encoder; the routes' are of " +
                    current_->set->encoder,
                "replace all routes in one batch, or remove the others first");
  }
  const Result<std::uint64_t> version = store_->apply(context, edits);
  if (!version) return fail(version.error());

  const std::size_t edited = count_new_utterances(edits);
  images_.note_edited(edited);
  auto next = std::make_shared<RouteSnapshot>();
  next->settings = current_->settings;
  next->encoder = current_->encoder;
  next->reencoding = current_->reencoding;
  next->version = *version;
  next->edited_since_fit = current_->edited_since_fit + edited;
  next->calibration = current_->calibration;
  next->scoring = current_->scoring;
  next->set = std::move(set);
  if (wants_refit(current_->calibration, *next->set, next->edited_since_fit)) {
    calibrate(*next, searcher_);
  }
  if (reencoding_) {
    for (const RouteEdit& edit : edits) {
      if (edit.kind != RouteEditKind::add_utterances) reencoding_->forget(edit.route.id);
    }
    reencoding_->report(*next->set);
  }
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
    if (reencoding_) {
      Error error;
      error.code = ErrorCode::unavailable;
      error.message = "all utterances are being encoded again: embeddings are taken after that";
      error.hint = "tenantctl routes status tells how far it is; or send the text alone";
      error.retry_after_ms = 1000;
      return fail(std::move(error));
    }
    utterance.encoder = encoder_id_of(settings, utterance.encoder);
    return {};
  }
  if (current_->encoder == nullptr) {
    // Known by its words only: for good, or until the next encoder has given it a vector.
    if (settings.dense_weight <= 0 || reencoding_) return {};
    return fail(ErrorCode::encoder_unavailable,
                "the encoder " + std::string(tenant_encoder_id(settings)) + " is not on this host",
                "send an embedding with each utterance");
  }
  std::vector<float> embedding(settings.dimension);
  if (Status status = session_->encode({utterance.text, nullptr}, embedding); !status) {
    return status;
  }
  utterance.embedding = std::move(embedding);
  utterance.encoder = current_->encoder->id();
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

Status RouteEditor::apply_settings(const ExecutionContext& context,
                                   const TenantSettings& settings) {
  if (Status status = validate_settings(settings); !status) return status;
  const RouterSettings& now = current_->settings.router;
  if (settings.router.dimension != wanted_.dimension ||
      tenant_encoder_id(settings.router) != tenant_encoder_id(wanted_)) {
    return fail(ErrorCode::unsupported, "another dimension or encoder needs a new generation");
  }
  if (Status status = store_->set_max_storage(context, settings.max_storage_bytes); !status) {
    return status;
  }
  auto next = std::make_shared<RouteSnapshot>(*current_);
  next->settings = settings;
  next->settings.router.dimension = now.dimension;  // of the vectors that answer
  next->settings.router.encoder = now.encoder;
  if (!fits_alike(settings.router, now)) {
    calibrate(*next, searcher_);
  } else {
    next->scoring = next->calibration.decide(next->settings.router);
  }
  wanted_ = settings.router;
  return publish(context, std::move(next));
}

}  // namespace tenantd
