#include "worker/store/index_keeper.h"

#include <limits>
#include <utility>

#include "worker/store/index_file.h"

namespace tenantd {

namespace {

// An edit moves floats only when so many have come together: small edits would write the same
// chunk again and again. What is less moves when nobody edits.
constexpr std::size_t worth_moving_bytes = std::size_t{64} << 20U;

}  // namespace

void IndexKeeper::restore(std::string index_path, std::string vectors_path,
                          RouteSnapshot& snapshot) {
  path_ = std::move(index_path);
  vectors_path_ = std::move(vectors_path);
  if (snapshot.settings.router.index == VectorIndexKind::ivf) {
    if (auto image = read_index_file(path_)) (void)builder_.restore(std::move(*image), snapshot);
  }
  place(snapshot);
}

void IndexKeeper::place(RouteSnapshot& snapshot) {
  if (vault_ && vault_->movable_bytes(*snapshot.set) >= worth_moving_bytes) {
    (void)move_vectors(snapshot, std::numeric_limits<std::size_t>::max());
  }
  snapshot.index = builder_.view_for(snapshot);
  report_->set(builder_.status(snapshot));
}

// True: there is more.
bool IndexKeeper::move_vectors(const RouteSnapshot& snapshot, std::size_t most_bytes) {
  const bool wanted = snapshot.settings.router.index == VectorIndexKind::ivf &&
                      snapshot.set->vector_count >= min_indexed_vectors;
  if (!wanted || vectors_path_.empty()) return false;
  if (!vault_) {
    auto opened = VectorVault::open(vectors_path_);
    if (!opened) return false;
    vault_.emplace(std::move(*opened));
  }
  return vault_->move_some(*snapshot.set, most_bytes);
}

IndexKeeper::Step IndexKeeper::improve(const RouteSnapshot& current) {
  Step step;
  if (move_vectors(current, VectorVault::step_bytes)) return {true, false};
  step.more = builder_.step(current);
  if (!path_.empty()) {
    if (const auto image = builder_.take_image(*current.set)) {
      (void)write_index_file(path_, *image);
    }
  }
  step.has_news = builder_.take_news();
  report_->set(builder_.status(current));
  return step;
}

}  // namespace tenantd
