#include "worker/store/index_keeper.h"

#include <utility>

#include "worker/store/index_file.h"

namespace tenantd {

void IndexKeeper::restore(std::string path, RouteSnapshot& snapshot) {
  path_ = std::move(path);
  if (snapshot.settings.router.index == VectorIndexKind::ivf) {
    if (auto image = read_index_file(path_)) (void)builder_.restore(std::move(*image), snapshot);
  }
  place(snapshot);
}

void IndexKeeper::place(RouteSnapshot& snapshot) {
  snapshot.index = builder_.view_for(snapshot);
  report_->set(builder_.status(snapshot));
}

IndexKeeper::Step IndexKeeper::improve(const RouteSnapshot& current) {
  Step step;
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
