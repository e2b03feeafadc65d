// A tenant's routes on disk: in a SQLite database with one writer, every acknowledged edit durable.
//
// Runs in: worker; one thread at a time (the main before the loop runs, then the editor thread),
// except health(). Trusts neither the file, whose rows carry checksums, nor a tenant id that isn't
// the context's.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/error.h"
#include "worker/router/types.h"
#include "worker/runtime/execution_context.h"
#include "worker/store/history_store.h"
#include "worker/store/store_file.h"

namespace tenantd {

// An utterance's vector of the encoder that the tenant changes to.
struct StagedVector {
  std::string route;
  std::uint32_t ordinal = 0;
  Utterance utterance;  // its text; the vector and its encoder, both empty if there is none
};

// A route without what it is made of.
struct StoredRoute {
  std::string_view id;
  std::uint64_t version = 0;  // of the edit that changed it last
  std::uint64_t utterances = 0;
};

using ImageNonces = std::array<std::uint64_t, 2>;

class TenantStore {
 public:
  // Blocking. Opens `path`, or makes it if it is empty or missing and never was complete; takes
  // the lease `path`.lock. `max_storage_bytes` bounds the file; 0: no bound. Errors: store_degraded
  // (corrupt, not a database, read-only; the file is left as it is), unavailable (another writer),
  // unsupported (newer schema).
  [[nodiscard]] static Result<std::unique_ptr<TenantStore>> open(TenantId tenant,
                                                                 const std::string& path,
                                                                 std::uint64_t max_storage_bytes);
  // The tenant's rows of a database that it shares. `max_storage_bytes` bounds what is stored of
  // the tenant, its staged vectors aside; 0: no bound.
  TenantStore(TenantId tenant, std::shared_ptr<StoreFile> shard, std::uint64_t max_storage_bytes);
  ~TenantStore();

  // Blocking. Calls `take` once a route, ascending by id, but for routes of which `knows` (may be
  // empty) says that what it has is of this version or a later one: of these no utterance is read.
  // Returns the stored snapshot version. Errors: no_tenant, store_degraded, and whatever `take`
  // returned.
  [[nodiscard]] Result<std::uint64_t> load(
      const ExecutionContext& context, const std::function<Status(RouteDefinition)>& take,
      const std::function<bool(const StoredRoute&)>& knows = {});
  // Blocking: reads some routes behind `id` (empty: from the first on) and looks whether they are
  // what was stored. Returns the last one's id; empty: there were no more. Errors: no_tenant,
  // store_degraded.
  [[nodiscard]] Result<std::string> verify(const ExecutionContext& context, std::string_view id);
  // Which files beside the database hold routes of this history of it, see image_keeper.h; 0: none.
  // Errors: no_tenant, store_degraded.
  [[nodiscard]] Result<ImageNonces> image_nonces(const ExecutionContext& context);
  // Blocking, durable. Errors: no_tenant, store_degraded.
  [[nodiscard]] Status set_image_nonce(const ExecutionContext& context, std::size_t slot,
                                       std::uint64_t nonce);
  // Blocking: returns when the whole batch is durable, or nothing of it is. Returns the new
  // snapshot version. Errors, `field` naming the route: already_exists (RouteEditKind::add),
  // not_found (add_utterances, remove); no_tenant; store_degraded with the reason. After corruption
  // was seen every further edit is refused; a full disk may have room again later.
  [[nodiscard]] Result<std::uint64_t> apply(const ExecutionContext& context,
                                            std::span<const RouteEdit> edits);
  // Vectors for another encoder, kept beside the routes until take_staged(). An edit of a route
  // drops what was staged for it; utterances that are added are not.
  // Blocking, durable. Errors: no_tenant, store_degraded.
  [[nodiscard]] Status stage(const ExecutionContext& context, std::string_view target,
                             std::span<const StagedVector> vectors);
  // By route, how many utterances from the first on are staged for `target`. Drops what was staged
  // for another. Errors: no_tenant, store_degraded.
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::uint32_t>>> count_staged(
      const ExecutionContext& context, std::string_view target);
  // All staged vectors become the utterances' own, in one transaction; `expected` is how many must.
  // Returns the new snapshot version. Errors: no_tenant, store_degraded, internal (another number).
  [[nodiscard]] Result<std::uint64_t> take_staged(const ExecutionContext& context,
                                                  std::uint64_t expected);
  // Live change of the bound. store_degraded.
  [[nodiscard]] Status set_max_storage(const ExecutionContext& context, std::uint64_t bytes);
  // What the file may take beside that bound, for what is no part of it: the history.
  // store_degraded.
  [[nodiscard]] Status set_room_beside(const ExecutionContext& context, std::uint64_t bytes);
  // The tenant's history, in the same database. Errors: no_tenant.
  [[nodiscard]] Result<HistoryStore> history(const ExecutionContext& context) const;
  // Any thread: why the store is degraded; empty: it isn't.
  [[nodiscard]] std::string degraded_reason() const;

 private:
  struct Growth {
    std::int64_t routes = 0;
    std::int64_t bytes = 0;
  };
  [[nodiscard]] Status check(const ExecutionContext& context) const;
  [[nodiscard]] Result<std::uint64_t> apply_all(std::string_view tenant,
                                                std::span<const RouteEdit> edits);
  [[nodiscard]] Status apply_one(std::string_view tenant, const RouteEdit& edit,
                                 std::int64_t version, Growth& growth);
  [[nodiscard]] Status insert_route(std::string_view tenant, const RouteDefinition& route,
                                    std::int64_t version);
  [[nodiscard]] Status insert_utterances(std::string_view tenant, const RouteDefinition& route,
                                         std::int64_t first_ordinal);
  [[nodiscard]] Status erase(std::string_view tenant, std::string_view route, Growth& growth);
  [[nodiscard]] Result<bool> read_header(std::string_view tenant, std::string_view route,
                                         std::int64_t& utterance_count);
  [[nodiscard]] Result<std::uint64_t> load_all(
      std::string_view tenant, const std::function<Status(RouteDefinition)>& take,
      const std::function<bool(const StoredRoute&)>& knows);
  [[nodiscard]] Result<std::string> verify_some(std::string_view tenant, std::string_view id);
  [[nodiscard]] Result<std::int64_t> stored_version(std::string_view tenant);
  [[nodiscard]] Status load_utterances(std::string_view tenant, std::int64_t count,
                                       RouteDefinition& route);
  [[nodiscard]] Result<Growth> recount(std::string_view tenant);
  [[nodiscard]] Status move_staged(std::string_view tenant, std::uint64_t expected);
  [[nodiscard]] Result<std::uint64_t> raise_version(std::string_view tenant, const Growth& growth);
  void remember(const Error* error);
  [[nodiscard]] Status limit_file();

  TenantId tenant_;
  std::shared_ptr<StoreFile> file_;
  std::uint64_t max_bytes_ = 0;    // of its rows, in a shared file; else of the file; 0: no bound
  std::uint64_t room_beside_ = 0;  // of a file of its own
  bool shared_ = false;
  mutable std::mutex health_mutex_;
  std::string degraded_reason_;  // guarded by health_mutex_
  bool corrupt_ = false;         // for good
};

}  // namespace tenantd
