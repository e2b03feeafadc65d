// Hands snapshots from the editor thread to the one loop thread that reads them.
//
// Runs in: worker. The reader pays one relaxed-cost atomic load a query; only after a publication
// does it take a mutex, for the time of swapping two pointers. (std::atomic<std::shared_ptr> of
// libstdc++ 12 locks on every load.) The reader never frees a snapshot: what it let go waits for
// the next publication.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>

#include "worker/router/snapshot.h"

namespace tenantd {

class SnapshotHolder {
 public:
  explicit SnapshotHolder(SnapshotPtr first) : published_(first), current_(std::move(first)) {}

  // Editor thread, or any thread while the loop does not run.
  void publish(SnapshotPtr next) {
    SnapshotPtr retired;
    SnapshotPtr overtaken;
    {
      const std::lock_guard lock(mutex_);
      retired = std::move(retired_);
      overtaken = std::exchange(published_, std::move(next));
      publications_.fetch_add(1, std::memory_order_release);
    }
  }
  // Any thread: a reference of one's own.
  [[nodiscard]] SnapshotPtr latest() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }
  // Loop thread only. Valid until its next call.
  [[nodiscard]] const SnapshotPtr& current() {
    const std::uint64_t publications = publications_.load(std::memory_order_acquire);
    if (publications != seen_) {
      const std::lock_guard lock(mutex_);
      seen_ = publications_.load(std::memory_order_relaxed);
      retired_ = std::exchange(current_, published_);
    }
    return current_;
  }
  // Loop thread only: what current() gave last, and its number, which no other snapshot has.
  [[nodiscard]] const SnapshotPtr& held() const noexcept { return current_; }
  [[nodiscard]] std::uint64_t held_number() const noexcept { return seen_ + 1; }

 private:
  mutable std::mutex mutex_;
  SnapshotPtr published_;  // guarded by mutex_
  SnapshotPtr retired_;    // guarded by mutex_
  std::atomic<std::uint64_t> publications_{0};
  std::uint64_t seen_ = 0;  // loop thread's
  SnapshotPtr current_;     // loop thread's
};

}  // namespace tenantd
