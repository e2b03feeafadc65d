#include "shared/loop/loop.h"

#include <cstdlib>
#include <utility>

namespace tenantd {
namespace detail {

// A callback may destroy its wrapper: the block, and so the running function, lives on until
// libuv's close callback deletes it.
struct PollBlock {
  uv_poll_t handle{};
  Poll::Callback callback;
};
struct TimerBlock {
  uv_timer_t handle{};
  Timer::Callback callback;
};
struct SignalBlock {
  uv_signal_t handle{};
  Signal::Callback callback;
};
struct AsyncBlock {
  uv_async_t handle{};
  Async::Callback callback;
};
struct IdleBlock {
  uv_idle_t handle{};
  Idle::Callback callback;
};

}  // namespace detail

namespace {

template <class Block>
Block* block_of(void* handle) noexcept {
  return static_cast<Block*>(static_cast<uv_handle_t*>(handle)->data);
}

template <class Block>
Block* make_block() {
  auto* block = new Block;
  block->handle.data = block;
  return block;
}

template <class Block>
void close_block(Block*& block) noexcept {
  Block* const closing = std::exchange(block, nullptr);
  if (closing == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&closing->handle),
           [](uv_handle_t* handle) { delete block_of<Block>(handle); });
}

// Only a programming error or an exhausted process at start-up makes these libuv calls fail.
void require(int status) noexcept {
  if (status != 0) std::abort();
}

}  // namespace

Loop::Loop() {
  require(uv_loop_init(&loop_));
  loop_.data = this;
}

Loop::~Loop() {
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void*) {
        if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
      },
      nullptr);
  while (uv_loop_close(&loop_) == UV_EBUSY) (void)uv_run(&loop_, UV_RUN_ONCE);
}

void Loop::run() { (void)uv_run(&loop_, UV_RUN_DEFAULT); }
void Loop::stop() { uv_stop(&loop_); }
void Loop::run_once() {
  changed_ = false;
  (void)uv_run(&loop_, UV_RUN_NOWAIT);
}

int Loop::timeout_ms() noexcept {
  const int timeout = uv_backend_timeout(&loop_);
  if (timeout <= 0) return timeout;
  uv_update_time(&loop_);  // it counts from the last turn
  return uv_backend_timeout(&loop_);
}

Poll::Poll(Poll&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
Poll& Poll::operator=(Poll&& other) noexcept {
  if (this != &other) {
    close();
    block_ = std::exchange(other.block_, nullptr);
  }
  return *this;
}

Status Poll::start(Loop& loop, int fd, int events, Callback callback) {
  close();
  auto* block = make_block<detail::PollBlock>();
  const int status = uv_poll_init(loop.raw(), &block->handle, fd);
  if (status != 0) {
    delete block;
    return fail_errno("uv_poll_init", -status);
  }
  block->callback = std::move(callback);
  block_ = block;
  change(events);
  return {};
}

void Poll::change(int events) {
  if (block_ == nullptr) return;
  static_cast<Loop*>(block_->handle.loop->data)->changed_ = true;
  if (events == 0) {
    (void)uv_poll_stop(&block_->handle);
    return;
  }
  require(uv_poll_start(&block_->handle, events, [](uv_poll_t* handle, int status, int ready) {
    block_of<detail::PollBlock>(handle)->callback(status < 0 ? UV_DISCONNECT : ready);
  }));
}

void Poll::close() noexcept {
  if (block_ != nullptr) (void)uv_poll_stop(&block_->handle);
  close_block(block_);
}

Timer::Timer(Loop& loop) : block_(make_block<detail::TimerBlock>()) {
  require(uv_timer_init(loop.raw(), &block_->handle));
}
Timer::~Timer() { close(); }
Timer::Timer(Timer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    close();
    block_ = std::exchange(other.block_, nullptr);
  }
  return *this;
}
void Timer::close() noexcept { close_block(block_); }

void Timer::start(std::uint64_t after_ms, Callback callback, std::uint64_t repeat_ms) {
  block_->callback = std::move(callback);
  // The loop's cached time may be old after a long callback: a timeout counts from now.
  uv_update_time(block_->handle.loop);
  require(uv_timer_start(
      &block_->handle,
      [](uv_timer_t* handle) {
        // The callback may start this timer again with another function: call a moved-out copy.
        auto* const self = block_of<detail::TimerBlock>(handle);
        if (uv_timer_get_repeat(handle) == 0) {
          const auto once = std::exchange(self->callback, nullptr);
          once();
        } else {
          const auto each = self->callback;
          each();
        }
      },
      after_ms, repeat_ms));
}
void Timer::stop() noexcept { (void)uv_timer_stop(&block_->handle); }
bool Timer::active() const noexcept {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&block_->handle)) != 0;
}

Signal::Signal(Loop& loop, int signal, Callback callback)
    : block_(make_block<detail::SignalBlock>()) {
  block_->callback = std::move(callback);
  require(uv_signal_init(loop.raw(), &block_->handle));
  require(uv_signal_start(
      &block_->handle,
      [](uv_signal_t* handle, int number) {
        block_of<detail::SignalBlock>(handle)->callback(number);
      },
      signal));
}
Signal::~Signal() { close_block(block_); }

Async::Async(Loop& loop, Callback callback) : block_(make_block<detail::AsyncBlock>()) {
  block_->callback = std::move(callback);
  require(uv_async_init(loop.raw(), &block_->handle, [](uv_async_t* handle) {
    block_of<detail::AsyncBlock>(handle)->callback();
  }));
}
Async::~Async() { close_block(block_); }
void Async::send() noexcept { (void)uv_async_send(&block_->handle); }

Idle::Idle(Loop& loop) : block_(make_block<detail::IdleBlock>()) {
  require(uv_idle_init(loop.raw(), &block_->handle));
}
Idle::~Idle() { close_block(block_); }
void Idle::start(Callback callback) {
  block_->callback = std::move(callback);
  require(uv_idle_start(&block_->handle, [](uv_idle_t* handle) {
    const auto each = block_of<detail::IdleBlock>(handle)->callback;
    each();
  }));
}
void Idle::stop() noexcept { (void)uv_idle_stop(&block_->handle); }
bool Idle::active() const noexcept {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&block_->handle)) != 0;
}

}  // namespace tenantd
