// RAII over libuv: one loop a process, callbacks only, no thread pool.
//
// Runs in: supervisor, worker, control. libuv closes handles asynchronously; each wrapper owns a
// heap block that outlives it until libuv's close callback, so a wrapper may be destroyed inside
// its own callback. None of libuv's thread-pool calls (uv_fs_*, uv_queue_work, getaddrinfo) may be
// used: the supervisor clones. Callbacks must not throw.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "shared/base/error.h"

namespace tenantd {

class Loop {
 public:
  Loop();
  ~Loop();  // closes leftover handles and runs until they are gone
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();  // until stop() or no active handle
  void stop();
  // One non-blocking turn.
  void run_once();

  // For an owner that waits on more than this loop, in an epoll of its own: wait for backend_fd()
  // for at most timeout_ms() (-1: for ever), and run_once() when it is readable, when the time is
  // over, or when has_changed(). https://docs.libuv.org/en/v1.x/loop.html#c.uv_backend_fd
  [[nodiscard]] int backend_fd() const noexcept { return uv_backend_fd(&loop_); }
  [[nodiscard]] int timeout_ms() noexcept;
  // A Poll was started or changed since the last turn: the kernel hears of it in the next.
  [[nodiscard]] bool has_changed() const noexcept { return changed_; }

  [[nodiscard]] uv_loop_t* raw() noexcept { return &loop_; }

 private:
  friend class Poll;
  uv_loop_t loop_{};
  bool changed_ = false;
};

namespace detail {
struct PollBlock;
struct TimerBlock;
struct SignalBlock;
struct AsyncBlock;
struct IdleBlock;
}  // namespace detail

// Readiness of a descriptor that somebody else owns and that outlives the Poll.
class Poll {
 public:
  // events: UV_READABLE | UV_WRITABLE | UV_DISCONNECT, as given to start(). Called with what is
  // ready; a poll error (negative status) is reported as UV_DISCONNECT.
  using Callback = std::function<void(int events)>;

  Poll() noexcept = default;
  ~Poll() { close(); }
  Poll(Poll&& other) noexcept;
  Poll& operator=(Poll&& other) noexcept;

  // Error: what uv_poll_init says (EPERM for a regular file, EEXIST for an fd polled twice).
  [[nodiscard]] Status start(Loop& loop, int fd, int events, Callback callback);
  void change(int events);
  void close() noexcept;
  [[nodiscard]] bool active() const noexcept { return block_ != nullptr; }

 private:
  detail::PollBlock* block_ = nullptr;
};

class Timer {
 public:
  using Callback = std::function<void()>;

  explicit Timer(Loop& loop);
  ~Timer();
  Timer(Timer&& other) noexcept;
  Timer& operator=(Timer&& other) noexcept;

  // Restarts if running. repeat_ms 0: once.
  void start(std::uint64_t after_ms, Callback callback, std::uint64_t repeat_ms = 0);
  void stop() noexcept;
  [[nodiscard]] bool active() const noexcept;

 private:
  void close() noexcept;
  detail::TimerBlock* block_ = nullptr;
};

class Signal {
 public:
  using Callback = std::function<void(int signal)>;
  Signal(Loop& loop, int signal, Callback callback);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

 private:
  detail::SignalBlock* block_ = nullptr;
};

// Wakes the loop from another thread; wake-ups coalesce.
class Async {
 public:
  using Callback = std::function<void()>;
  Async(Loop& loop, Callback callback);
  ~Async();
  Async(const Async&) = delete;
  Async& operator=(const Async&) = delete;
  void send() noexcept;  // any thread

 private:
  detail::AsyncBlock* block_ = nullptr;
};

// Calls back once a loop turn while running: work in slices that must not hold up anything else.
class Idle {
 public:
  using Callback = std::function<void()>;
  explicit Idle(Loop& loop);
  ~Idle();
  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;
  void start(Callback callback);
  void stop() noexcept;
  [[nodiscard]] bool active() const noexcept;

 private:
  detail::IdleBlock* block_ = nullptr;
};

}  // namespace tenantd
