#include "worker/store/image_keeper.h"

#include <sys/random.h>

#include <utility>

#include "shared/base/clock.h"
#include "worker/encoder/hashing.h"

namespace tenantd {
namespace {

// Not 0. Nobody need be kept from guessing it.
std::uint64_t make_nonce() noexcept {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = mix_bits(monotonic_ns());
  return random | 1U;
}

}  // namespace

ImageKeeper::ImageKeeper(const std::string& directory, std::size_t fewest)
    : fewest_(fewest), paths_{directory + "/routes.image-0", directory + "/routes.image-1"} {}

std::optional<RouteImage> ImageKeeper::read(const ExecutionContext& context, TenantStore& store) {
  if (paths_[0].empty()) return std::nullopt;
  const auto nonces = store.image_nonces(context);
  if (!nonces) return std::nullopt;
  std::array<std::optional<SnapshotFile>, 2> files;
  for (std::size_t slot = 0; slot < files.size(); ++slot) {
    auto file = open_route_image(paths_[slot]);
    if (file && (*nonces)[slot] != 0 && file->identity().nonce == (*nonces)[slot]) {
      files[slot] = std::move(*file);
    }
  }
  const bool second_is_newer =
      files[1] && (!files[0] || files[0]->identity().version < files[1]->identity().version);
  // The older one serves if the newer is damaged.
  for (const std::size_t slot : {second_is_newer ? 1UL : 0UL, second_is_newer ? 0UL : 1UL}) {
    if (!files[slot]) continue;
    auto image = read_route_image(*files[slot]);
    if (!image) continue;
    unverified_ = std::move(*files[slot]);
    mapped_ = slot;
    slot_ = 1 - slot;
    fitted_for_ = image->fitted_for;
    return std::move(*image);
  }
  return std::nullopt;
}

bool ImageKeeper::verify() noexcept {
  const bool is_intact = !unverified_ || are_vectors_intact(*unverified_);
  unverified_.reset();
  if (!is_intact) fitted_for_.reset();
  return is_intact;
}

bool ImageKeeper::is_due(const RouteSnapshot& current) const noexcept {
  const std::size_t utterances = current.set->utterance_count();
  if (paths_[0].empty() || current.reencoding || utterances < fewest_) return false;
  return !fitted_for_ || !fits_alike(*fitted_for_, current.settings.router) ||
         edited_ > utterances / 10;
}

bool ImageKeeper::improve(const ExecutionContext& context, TenantStore& store,
                          const SnapshotPtr& current) {
  if (!writer_) {
    if (!is_due(*current)) return false;
    edited_ = 0;
    fitted_for_ = current->settings.router;
    nonce_ = make_nonce();
    auto writer = RouteImageWriter::begin(paths_[slot_], current, nonce_,
                                          current->settings.max_storage_bytes);
    if (!writer) return false;
    writer_.emplace(std::move(*writer));
    return true;
  }
  const auto more = writer_->step();
  if (more && *more) return true;
  writer_.reset();
  if (more && store.set_image_nonce(context, slot_, nonce_) && !mapped_) slot_ = 1 - slot_;
  return false;
}

}  // namespace tenantd
