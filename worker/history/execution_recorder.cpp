#include "worker/history/execution_recorder.h"

#include <algorithm>
#include <utility>

namespace tenantd {

ExecutionRecorder::ExecutionRecorder(TenantId tenant, std::size_t capacity, std::uint64_t seed,
                                     OnBuffered on_buffered)
    : tenant_(tenant),
      on_buffered_(std::move(on_buffered)),
      ring_(capacity),
      random_(seed | 1U) {}  // 0 would stay 0

bool ExecutionRecorder::owns(const ExecutionContext& context) const noexcept {
  return context.tenant() == tenant_;
}

void ExecutionRecorder::set_sample(const ExecutionContext& context,
                                   std::uint32_t sample_e6) noexcept {
  if (!owns(context)) return;
  chosen_below_ = (std::uint64_t{sample_e6} << 32U) / 1'000'000;
}

// xorshift64* (Vigna, 2016); its upper half is the better one.
bool ExecutionRecorder::chooses(const ExecutionContext& context) noexcept {
  if (!owns(context)) return false;
  random_ ^= random_ >> 12U;
  random_ ^= random_ << 25U;
  random_ ^= random_ >> 27U;
  return (random_ * 0x2545F4914F6CDD1DULL) >> 32U < chosen_below_;
}

void ExecutionRecorder::record(const ExecutionContext& context, const ExecutionRecord& record) {
  if (!owns(context)) return;
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::uint64_t used = head - tail_.load(std::memory_order_acquire);
  if (used >= ring_.size()) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  ring_[head & (ring_.size() - 1)] = record;
  head_.store(head + 1, std::memory_order_release);
  if (used + 1 >= ring_.size() / 2) {
    if (!std::exchange(said_now_, true)) on_buffered_(Urgency::now);
  } else if (!said_soon_ && !said_now_) {
    said_soon_ = true;
    on_buffered_(Urgency::soon);
  }
}

void ExecutionRecorder::say_again(const ExecutionContext& context) noexcept {
  if (owns(context)) said_soon_ = said_now_ = false;
}

std::size_t ExecutionRecorder::buffered(const ExecutionContext& context) const noexcept {
  if (!owns(context)) return 0;
  return head_.load(std::memory_order_relaxed) - tail_.load(std::memory_order_acquire);
}

std::size_t ExecutionRecorder::capacity(const ExecutionContext& context) const noexcept {
  return owns(context) ? ring_.size() : 0;
}

std::size_t ExecutionRecorder::bytes(const ExecutionContext& context) const noexcept {
  return owns(context) ? sizeof *this + ring_.size() * sizeof(ExecutionRecord) : 0;
}

void ExecutionRecorder::take(const ExecutionContext& context,
                             const std::function<void(std::span<const ExecutionRecord>,
                                                      std::span<const ExecutionRecord>)>& take) {
  if (!owns(context)) return;
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  const std::uint64_t head = head_.load(std::memory_order_acquire);
  if (head == tail) return;
  const std::size_t begin = tail & (ring_.size() - 1);
  const std::size_t count = head - tail;
  const std::size_t first = std::min(count, ring_.size() - begin);
  const std::span<const ExecutionRecord> ring(ring_);
  take(ring.subspan(begin, first), ring.subspan(0, count - first));
  tail_.store(head, std::memory_order_release);
}

std::uint64_t ExecutionRecorder::dropped(const ExecutionContext& context) const noexcept {
  return owns(context) ? dropped_.load(std::memory_order_relaxed) : 0;
}

void ExecutionRecorder::count_dropped(const ExecutionContext& context,
                                      std::uint64_t records) noexcept {
  if (owns(context)) dropped_.fetch_add(records, std::memory_order_relaxed);
}

}  // namespace tenantd
