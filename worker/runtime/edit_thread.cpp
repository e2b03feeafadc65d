#include "worker/runtime/edit_thread.h"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <system_error>
#include <utility>

namespace tenantd {

EditThread::EditThread(Loop& loop, IdleWork idle_work)
    : idle_work_(std::move(idle_work)), done_(loop, [this] { complete(); }) {}

EditThread::~EditThread() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

std::size_t EditThread::in_flight(Owner owner) const {
  const auto found = in_flight_of_.find(owner);
  return found == in_flight_of_.end() ? 0 : found->second;
}

Status EditThread::submit(Owner owner, Job job, std::size_t most_jobs) {
  if (most_jobs == 0 || most_jobs > max_jobs) most_jobs = max_jobs;
  if (const std::size_t waiting = in_flight(owner); waiting >= most_jobs) {
    Error error;
    error.code = ErrorCode::resource_exhausted;
    error.message = std::to_string(waiting) + " edits are waiting already";
    error.retry_after_ms = 50;
    return fail(std::move(error));
  }
  if (!thread_.joinable()) {
    // Signals are the loop thread's: the new thread inherits a mask with all of them blocked.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool failed = false;
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
      failed = true;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failed) return fail(ErrorCode::unavailable, "the editor thread cannot be started");
  }
  {
    const std::lock_guard lock(mutex_);
    auto& jobs = jobs_[owner];
    if (jobs.empty()) turns_.push_back(owner);
    jobs.push_back(std::move(job));
  }
  ++in_flight_;
  ++in_flight_of_[owner];
  wake_.notify_one();
  return {};
}

void EditThread::work() {
  Idle idle = Idle::more;
  bool paused = false;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (turns_.empty()) {
      if (stopping_) return;
      if (idle == Idle::nothing) {
        wake_.wait(lock);
        continue;
      }
      if (!paused) {
        paused = !wake_.wait_for(lock, pause, [this] { return stopping_ || !turns_.empty(); });
        continue;
      }
      lock.unlock();
      const auto began = std::chrono::steady_clock::now();
      idle = idle_work_();
      const auto worked = std::chrono::steady_clock::now() - began;
      lock.lock();
      if (idle == Idle::more_gently) {
        (void)wake_.wait_for(lock, 2 * worked, [this] { return stopping_ || !turns_.empty(); });
      }
      continue;
    }
    Owner owner = nullptr;
    const Job job = take(owner);
    lock.unlock();
    Completion completion = job();
    lock.lock();
    completions_.push_back({owner, std::move(completion)});
    done_.send();
    idle = Idle::more;
    paused = false;
  }
}

// With the mutex held, and a job there.
EditThread::Job EditThread::take(Owner& owner) {
  owner = turns_.front();
  turns_.pop_front();
  const auto found = jobs_.find(owner);
  Job job = std::move(found->second.front());
  found->second.pop_front();
  if (found->second.empty()) {
    jobs_.erase(found);
  } else {
    turns_.push_back(owner);
  }
  return job;
}

void EditThread::report(Completion news) {
  const std::lock_guard lock(mutex_);
  news_.push_back(std::move(news));
  done_.send();
}

void EditThread::complete() {
  std::deque<Done> ready;
  std::deque<Completion> news;
  {
    const std::lock_guard lock(mutex_);
    ready.swap(completions_);
    news.swap(news_);
  }
  for (const Completion& told : news) told();
  for (const Done& done : ready) {
    --in_flight_;
    if (const auto found = in_flight_of_.find(done.owner); --found->second == 0) {
      in_flight_of_.erase(found);
    }
    done.completion();
  }
}

}  // namespace tenantd
