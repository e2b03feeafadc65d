// The editor thread: everything that waits for the disk, one job after the other. Where jobs are
// several owners' (tenants), owners take turns.
//
// Runs in: worker; the thread starts with the first job. The loop thread submits and gets
// completions back on the loop; the jobs' own objects (store, editor) belong to this thread
// meanwhile.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "shared/base/error.h"
#include "shared/loop/loop.h"

namespace tenantd {

class EditThread {
 public:
  // Runs on the loop thread after its job.
  using Completion = std::function<void()>;
  // Runs on the editor thread; must not throw.
  using Job = std::function<Completion()>;
  // What is left of the work for idle times. `more_gently`: it is long, and would take the tenant's
  // CPU quota from its queries: twice as long as it worked the thread rests, or until a job comes.
  enum class Idle : std::uint8_t { nothing, more, more_gently };
  // Runs on the editor thread when no job has come for a `pause`, so that a row of edits is not
  // held up by what follows them.
  using IdleWork = std::function<Idle()>;

  // Whose jobs these are; only compared.
  using Owner = const void*;
  static constexpr std::size_t max_jobs = 64;  // of an owner
  static constexpr std::chrono::milliseconds pause{100};

  EditThread(Loop& loop, IdleWork idle_work);
  ~EditThread();  // finishes the jobs that were taken; their completions are dropped

  // Errors: resource_exhausted (`most_jobs` of the owner's, at most max_jobs, are not completed
  // yet; 0 means max_jobs), unavailable (the thread cannot be started).
  [[nodiscard]] Status submit(Owner owner, Job job, std::size_t most_jobs = 0);
  // Editor thread: runs on the loop thread, of no job.
  void report(Completion news);
  // Loop thread: jobs taken and not completed.
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
  [[nodiscard]] std::size_t in_flight(Owner owner) const;
  [[nodiscard]] bool started() const noexcept { return thread_.joinable(); }

 private:
  struct Done {
    Owner owner;
    Completion completion;
  };
  void work();
  void complete();
  [[nodiscard]] Job take(Owner& owner);

  IdleWork idle_work_;
  std::size_t in_flight_ = 0;                            // loop thread's, like the next
  std::unordered_map<Owner, std::size_t> in_flight_of_;  // those that have any
  std::mutex mutex_;
  std::condition_variable wake_;
  std::unordered_map<Owner, std::deque<Job>> jobs_;  // guarded by mutex_; none is empty
  std::deque<Owner> turns_;                          // guarded by mutex_: who has jobs, next first
  std::deque<Done> completions_;                     // guarded by mutex_
  std::deque<Completion> news_;                      // guarded by mutex_
  bool stopping_ = false;                            // guarded by mutex_
  Async done_;
  std::thread thread_;
};

}  // namespace tenantd
