// The two files beside a tenant's database that hold its routes as a start needs them: which one a
// start takes, and when another is written.
//
// Runs in: worker, editor thread (the main, before the loop runs, for read()). A start takes what
// the newest image has of the routes that the database says did not change since, and reads the
// others. Of two files the one is written that is not mapped. The database knows a random number
// of each: an image of another history, as beside a restored backup, is none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "worker/store/route_image.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

class ImageKeeper {
 public:
  // Below it a start from the database is as fast. In one with less than a tenth edited since, what
  // is missing is read.
  static constexpr std::size_t min_utterances = 4096;

  ImageKeeper() = default;  // keeps none
  explicit ImageKeeper(const std::string& directory, std::size_t fewest = min_utterances);

  // Nothing: there is none that the database knows, or it is damaged.
  [[nodiscard]] std::optional<RouteImage> read(const ExecutionContext& context, TenantStore& store);
  // Call when no edit waits, once after read() gave an image: whether its vectors are intact.
  // False: what was made from it must be made from the database, and another image is due.
  [[nodiscard]] bool verify() noexcept;
  void note_edited(std::size_t utterances) noexcept { edited_ += utterances; }
  // Call when no edit waits: writes a part of the image of `current`, or of what was current when
  // it began, if one is due. False: nothing to do. What cannot be written is tried again only after
  // further edits.
  [[nodiscard]] bool improve(const ExecutionContext& context, TenantStore& store,
                             const SnapshotPtr& current);
  [[nodiscard]] bool is_due(const RouteSnapshot& current) const noexcept;

 private:
  std::size_t fewest_ = min_utterances;
  std::array<std::string, 2> paths_;        // empty: nothing is kept
  std::optional<SnapshotFile> unverified_;  // the one that was read
  std::optional<std::size_t> mapped_;       // slot that this process reads from
  std::size_t slot_ = 0;                    // to write next
  std::optional<RouteImageWriter> writer_;
  std::uint64_t nonce_ = 0;                   // of what is being written
  std::optional<RouterSettings> fitted_for_;  // of the last image, written or tried
  std::size_t edited_ = 0;                    // utterances since then
};

}  // namespace tenantd
