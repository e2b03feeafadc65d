// A tenant's executions on their way to its database: which requests are recorded, and a fixed ring
// of records between the loop thread, which fills it, and the editor thread, which empties it.
//
// Runs in: worker. Recording takes no lock, no memory and no system call. What does not fit is
// dropped and counted: a history is not worth a late answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "shared/base/tenant_id.h"
#include "worker/history/execution_record.h"
#include "worker/runtime/execution_context.h"

namespace tenantd {

class ExecutionRecorder {
 public:
  enum class Urgency : std::uint8_t { soon, now };
  // Loop thread: something lies in the ring (soon), or half of it is full (now). Each is said once
  // until say_again().
  using OnBuffered = std::function<void(Urgency)>;

  // `capacity` is a power of two. `seed` of the choice of requests.
  ExecutionRecorder(TenantId tenant, std::size_t capacity, std::uint64_t seed,
                    OnBuffered on_buffered);

  // Loop thread. In millionths of all requests.
  void set_sample(const ExecutionContext& context, std::uint32_t sample_e6) noexcept;
  // Loop thread: whether the next request is recorded. Costs a multiplication.
  [[nodiscard]] bool chooses(const ExecutionContext& context) noexcept;
  // Loop thread. Another tenant's context records nothing.
  void record(const ExecutionContext& context, const ExecutionRecord& record);
  void say_again(const ExecutionContext& context) noexcept;
  // Records in the ring; it is half full from capacity / 2 on.
  [[nodiscard]] std::size_t buffered(const ExecutionContext& context) const noexcept;
  [[nodiscard]] std::size_t capacity(const ExecutionContext& context) const noexcept;
  [[nodiscard]] std::size_t bytes(const ExecutionContext& context) const noexcept;

  // Editor thread: what lies in the ring in the order it was recorded, in one or two parts, and
  // then gone. `take` is called once.
  void take(const ExecutionContext& context,
            const std::function<void(std::span<const ExecutionRecord> first,
                                     std::span<const ExecutionRecord> second)>& take);

  // Any thread: records that the ring had no room for, or that could not be stored.
  [[nodiscard]] std::uint64_t dropped(const ExecutionContext& context) const noexcept;
  void count_dropped(const ExecutionContext& context, std::uint64_t records) noexcept;

 private:
  [[nodiscard]] bool owns(const ExecutionContext& context) const noexcept;

  TenantId tenant_;
  OnBuffered on_buffered_;
  std::vector<ExecutionRecord> ring_;
  std::uint64_t random_;
  std::uint64_t chosen_below_ = 0;  // of 2^32
  bool said_soon_ = false;
  bool said_now_ = false;
  // tail ≤ head ≤ tail + capacity. Each is written by one thread.
  alignas(64) std::atomic<std::uint64_t> head_{0};  // loop thread's
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // editor thread's
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace tenantd
