// Deletes what is too old of all tenants of a pooled worker's shards, those that sleep included:
// one tenant after the other, each in a context of its own, in short jobs between which edits go.
//
// Runs in: worker. The jobs run on the editor thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "worker/runtime/edit_thread.h"
#include "worker/store/store_file.h"

namespace tenantd {

class ShardSweep {
 public:
  // Editor thread: a shard's file; null: nobody has written one, or it cannot be opened now.
  using OpenShard = std::function<std::shared_ptr<StoreFile>(std::uint32_t shard)>;

  // `edits` outlives it, and it the jobs.
  ShardSweep(EditThread& edits, OpenShard open_shard, std::uint32_t shard_count,
             std::function<void()> on_job_done);

  // Loop thread. Nothing happens while a run is on its way.
  void run(std::int64_t now_us);
  [[nodiscard]] bool running() const noexcept { return running_; }
  // No further job; the one on its way ends.
  void stop() noexcept { stopping_ = true; }

  // Editor thread: one step of a tenant, or the way to the next. False: all shards are done.
  [[nodiscard]] bool step(std::int64_t now_us);

 private:
  void submit(std::int64_t now_us);

  EditThread& edits_;
  OpenShard open_shard_;
  std::uint32_t shard_count_;
  std::function<void()> on_job_done_;
  bool running_ = false;  // loop thread's, like the next
  bool stopping_ = false;
  // Editor thread's.
  std::uint32_t shard_ = 0;
  std::shared_ptr<StoreFile> file_;
  std::string tenant_;  // the last that was found
  bool tenant_is_done_ = true;
};

}  // namespace tenantd
