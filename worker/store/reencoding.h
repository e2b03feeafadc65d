// Giving all utterances vectors of another encoder, in slices, while the old ones answer.
//
// Runs in: worker, editor thread, when no edit waits; progress is read by the loop thread. Each
// slice is durable: a worker that is killed goes on where it was. The routes themselves change in
// one transaction at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "worker/encoder/encoder.h"
#include "worker/router/route_set.h"
#include "worker/store/tenant_store.h"

namespace tenantd {

struct ReencodingState {
  std::uint64_t done = 0;   // utterances that have a vector of the next encoder
  std::uint64_t total = 0;  // 0: nothing is under way
  std::string problem;      // why it does not go on; empty: it does
};

// Written by the editor thread, read by any.
class ReencodingProgress {
 public:
  [[nodiscard]] ReencodingState get() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }
  void set(ReencodingState state) {
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
  }

 private:
  mutable std::mutex mutex_;
  ReencodingState state_;  // guarded by mutex_
};

class Reencoding {
 public:
  // Of one slice: bounds how long an edit waits for one.
  static constexpr std::size_t slice_utterances = 512;

  Reencoding(EncoderPtr target, std::shared_ptr<ReencodingProgress> progress);

  [[nodiscard]] const EncoderPtr& target() const noexcept { return target_; }
  // Takes up what an earlier process has done for this target, drops what it did for another.
  // Errors: store_degraded, no_tenant.
  [[nodiscard]] Status resume(const ExecutionContext& context, TenantStore& store,
                              const RouteSet& set);
  // Encodes one slice of `set`, durably. True: there is more. A failure, also one that more room or
  // an edit would mend, becomes the problem that progress tells.
  [[nodiscard]] Result<bool> encode_slice(const ExecutionContext& context, TenantStore& store,
                                          const RouteSet& set);
  // Edits have made what was done for this route void.
  void forget(const std::string& route) { done_.erase(route); }
  void report(const RouteSet& set, std::string problem = {});

 private:
  [[nodiscard]] StagedVector encode(const RouteBlock& route, std::uint32_t ordinal);

  EncoderPtr target_;
  std::unique_ptr<EncoderSession> session_;
  std::shared_ptr<ReencodingProgress> progress_;
  std::unordered_map<std::string, std::uint32_t> done_;  // by route: utterances from its first on
};

// Utterances that no other encoder can give a vector: they have one, and no text.
[[nodiscard]] std::size_t count_textless(const RouteSet& set);

}  // namespace tenantd
