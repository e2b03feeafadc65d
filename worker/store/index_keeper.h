// A tenant's index beside its routes: built when nobody edits, kept in a file, told in the status.
// With an index the floats of the vectors move into a file, too.
//
// Runs in: worker, editor thread (the main, before the loop runs, for restore()); the status is
// read by the loop thread. A file that cannot be written or read costs a build, nothing else.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "worker/router/index/index_builder.h"
#include "worker/store/vector_vault.h"

namespace tenantd {

// Written by the editor thread, read by any.
class IndexReport {
 public:
  [[nodiscard]] IndexStatus get() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  void set(IndexStatus status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }

 private:
  mutable std::mutex mutex_;
  IndexStatus status_;  // guarded by mutex_
};

class IndexKeeper {
 public:
  IndexKeeper() : report_(std::make_shared<IndexReport>()) {}

  // Reads `index_path`, where an earlier process may have left an index of `snapshot`, and sets its
  // index then. From now on built indexes are kept there, and floats in `vectors_path`.
  void restore(std::string index_path, std::string vectors_path, RouteSnapshot& snapshot);
  // Sets the index that belongs to a snapshot which is about to be published.
  void place(RouteSnapshot& snapshot);
  // Some milliseconds of building. `more`: there is more to do. `has_news`: place() says something
  // else for `current` now.
  struct Step {
    bool more = false;
    bool has_news = false;
  };
  [[nodiscard]] Step improve(const RouteSnapshot& current);

  [[nodiscard]] std::shared_ptr<const IndexReport> report() const noexcept { return report_; }

 private:
  [[nodiscard]] bool move_vectors(const RouteSnapshot& snapshot, std::size_t most_bytes);

  IndexBuilder builder_;
  std::string path_;          // empty: nothing is kept
  std::string vectors_path_;  // likewise
  std::optional<VectorVault> vault_;
  std::shared_ptr<IndexReport> report_;
};

}  // namespace tenantd
