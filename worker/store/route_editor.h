// Turns edits into the next snapshot: validate, encode, commit, build, publish, in this order.
//
// Runs in: worker, editor thread (the main, before the loop runs, for open()). Edits come from
// clients and mean nothing until validated here. What is acknowledged is durable; what is published
// was committed.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "worker/encoder/encoder_shelf.h"
#include "worker/router/tenant_router.h"
#include "worker/store/image_keeper.h"
#include "worker/store/index_keeper.h"
#include "worker/store/reencoding.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

struct EditOutcome {
  std::uint64_t snapshot_version = 0;
  std::size_t routes = 0;      // now
  std::size_t utterances = 0;  // now
};

// What routes may take of a process that may take so much; 0: unknown.
[[nodiscard]] std::uint64_t memory_for_routes(std::uint64_t memory_max_bytes) noexcept;

class RouteEditor {
 public:
  // Reads all routes of the store, but for those that the newest of `images` holds; encodes
  // nothing. Where the stored vectors are of another encoder
  // than the settings' and that one is here, the stored ones answer until reencode() is done.
  // `store` is borrowed and must outlive the editor. Errors: store_degraded, wrong_dimension
  // (vectors of another dimension than the settings'), invalid_argument (settings), invalid_config
  // (the encoder's model is broken), no_tenant.
  [[nodiscard]] static Result<RouteEditor> open(const ExecutionContext& context, TenantStore& store,
                                                const TenantSettings& settings,
                                                const EncoderShelf& shelf = EncoderShelf(),
                                                ImageKeeper images = ImageKeeper());

  // Takes up the index of the tenant's vectors that the directory may hold and keeps it there.
  // Before make_router().
  void keep_index(const std::string& directory);
  // Edits that would let the routes grow beyond so many bytes of memory are refused from now on
  // (resource_exhausted); 0: unknown, none is.
  void limit_memory(std::uint64_t bytes) noexcept { memory_for_routes_ = bytes; }
  // The router for this tenant, holding what open() read. Call once; the router is borrowed from
  // then on and must outlive the editor's last call.
  [[nodiscard]] std::unique_ptr<TenantRouter> make_router(const ExecutionContext& context);

  // Blocking: all edits or none, durable when it returns. `edits` is changed: missing vectors and
  // encoder ids are filled in. Errors: those of validate.h; already_exists, not_found;
  // resource_exhausted (max_routes, max_embeddings, rules); encoder_unavailable (a text alone, and
  // the encoder is not here); encoder_mismatch (a tenant's vectors must all be one encoder's);
  // unavailable (an embedding, while all are made anew); store_degraded; no_tenant.
  [[nodiscard]] Result<EditOutcome> apply(const ExecutionContext& context,
                                          std::span<RouteEdit> edits);
  // The same for several batches that wait at once, each all or none by itself, in their order: one
  // transaction and one snapshot for those that can be applied. Takes what is in `batches`.
  [[nodiscard]] std::vector<Result<EditOutcome>> apply_all(
      const ExecutionContext& context, std::span<std::vector<RouteEdit>> batches);
  // Live change of threshold, fallback, weights, aggregation, limits. No vector is touched. Errors:
  // invalid_argument; unsupported (another dimension or encoder needs a new generation); no_tenant.
  [[nodiscard]] Status apply_settings(const ExecutionContext& context,
                                      const TenantSettings& settings);
  // Large sets are recalibrated when edits pause, at the latest after they changed several times
  // over. Call when no edit waits: refits what is stale. False: nothing to do.
  [[nodiscard]] Result<bool> settle(const ExecutionContext& context);
  // Call when no edit waits: makes some vectors of the settings' encoder, with the last of them
  // they take over. False: nothing to do, or nothing that can be done (see progress()).
  [[nodiscard]] Result<bool> reencode(const ExecutionContext& context);
  // Call when no edit waits: some milliseconds of building the tenant's index, if it asks for one.
  // False: nothing to do.
  [[nodiscard]] Result<bool> improve_index(const ExecutionContext& context);
  // Call when no edit waits: writes a part of the image of the routes, if one is due. False:
  // nothing to do.
  [[nodiscard]] Result<bool> keep_image(const ExecutionContext& context);
  // Call when no edit waits: after a start from an image, looks whether its vectors are intact
  // (else all is read from the database) and, in steps, whether the rows that it spared are sound.
  // False: nothing to do. Error: store_degraded, once.
  [[nodiscard]] Result<bool> verify_start(const ExecutionContext& context);
  // Whether one of the calls for times without edits has something to do after the start.
  [[nodiscard]] bool has_idle_work() const noexcept;
  [[nodiscard]] std::shared_ptr<const IndexReport> index_report() const noexcept {
    return index_.report();
  }
  [[nodiscard]] std::shared_ptr<const ReencodingProgress> progress() const noexcept {
    return progress_;
  }

 private:
  using Blocks = std::vector<std::shared_ptr<const RouteBlock>>;
  explicit RouteEditor(TenantStore& store)
      : store_(&store), progress_(std::make_shared<ReencodingProgress>()) {}
  [[nodiscard]] Status reload(const ExecutionContext& context);
  void fit(RouteSnapshot& first, const RouteImage* image, std::size_t changed);
  void begin_reencoding(const ExecutionContext& context, EncoderPtr target);
  [[nodiscard]] Status take_over(const ExecutionContext& context);
  [[nodiscard]] Status prepare(std::span<RouteEdit> edits, Blocks& blocks);
  [[nodiscard]] Result<EditOutcome> commit(const ExecutionContext& context,
                                           std::span<const RouteEdit> edits, Blocks blocks);
  [[nodiscard]] Status complete(RouteEdit& edit);
  [[nodiscard]] Status complete(Utterance& utterance);
  [[nodiscard]] Status stage(const RouteEdit& edit, Blocks& blocks) const;
  [[nodiscard]] Status check_limits(const Blocks& blocks) const;
  [[nodiscard]] Status publish(const ExecutionContext& context,
                               std::shared_ptr<RouteSnapshot> next);

  TenantStore* store_;
  TenantRouter* router_ = nullptr;  // borrowed; null until make_router()
  SnapshotPtr current_;
  RouterSettings wanted_{};                  // what the tenant's file says
  std::unique_ptr<EncoderSession> session_;  // of current_->encoder; null with it
  std::optional<Reencoding> reencoding_;     // none: all vectors are of the wanted encoder
  std::shared_ptr<ReencodingProgress> progress_;
  Searcher searcher_;
  IndexKeeper index_;
  ImageKeeper images_;
  bool is_verified_ = true;              // the rows that a start from an image did not read
  std::string verified_;                 // else: up to this route
  std::uint64_t memory_for_routes_ = 0;  // bytes; 0: no bound
};

}  // namespace tenantd
