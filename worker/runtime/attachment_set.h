// All attachments of a worker: taking them in, giving each its slices, ending them.
//
// Runs in: worker, loop thread. Bounded in number by the tenant's settings and by memory: what
// their rings can make this worker hold stays below a quarter of its memory limit. No timer runs
// unless an attachment is in its handshake or does not take its answers.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

#include "shared/contract/link.h"
#include "shared/loop/loop.h"
#include "worker/runtime/attachment.h"
#include "worker/runtime/log.h"

namespace tenantd {

struct AttachmentLimits {
  std::uint64_t memory_max_bytes = 0;  // 0: unknown, then only the settings' number counts
  std::uint64_t handshake_timeout_ms = 5'000;
  std::uint64_t stall_timeout_ms = 30'000;  // of a peer that takes none of its answers
};

class AttachmentSet {
 public:
  using OnEmpty = std::function<void()>;

  // Everything is borrowed and outlives the set; `context` is the tenant's.
  [[nodiscard]] static Result<std::unique_ptr<AttachmentSet>> create(
      Loop& loop, const ExecutionContext& context, HandlerServices& services,
      Dispatcher& dispatcher, Logger& log, const AttachmentLimits& limits);

  // Takes a client's socket in, or writes one error frame and closes it.
  void attach(const Attach& request, UniqueFd socket);
  // The answer of an edit; dropped when its attachment has gone.
  void deliver(const EditResult& result);
  // Says GOAWAY to all and refuses new ones; calls `on_empty` (perhaps at once) when all have
  // ended.
  void drain(GoawayReason reason, OnEmpty on_empty);
  void end_all();

  // One turn of the worker: waits for doorbells and for the loop, at most `timeout_ms` (-1: for
  // ever) and not at all while an attachment has work left, and gives each its slice. True: the
  // loop wants a turn.
  [[nodiscard]] bool wait_and_serve(int timeout_ms);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  // How many attachments the settings and the memory allow now; ≥ 1.
  [[nodiscard]] std::size_t capacity() const noexcept;

 private:
  struct Entry {
    std::unique_ptr<Attachment> attachment;
    Poll poll;  // destroyed before the attachment closes its socket
    std::uint64_t supervisor_id = 0;
    int events = 0;
    bool queued = false;  // in busy_
  };
  AttachmentSet(Loop& loop, const ExecutionContext& context, HandlerServices& services,
                Dispatcher& dispatcher, Logger& log, const AttachmentLimits& limits,
                DoorbellSet doorbells);
  // Of the next attachment: settings change what is needed.
  [[nodiscard]] std::uint32_t ring_bytes() const noexcept;
  void refuse(const Attach& request, const UniqueFd& socket, const Error& error);
  void settle(std::uint64_t token, Turn turn);
  void end(std::uint64_t token);
  void run_slice(std::uint64_t token, bool others_wait);
  void run_busy();
  void watch();
  void check_timeouts();

  Loop& loop_;
  const ExecutionContext& context_;
  HandlerServices& services_;
  Logger& log_;
  AttachmentLimits limits_;
  DoorbellSet doorbells_;
  FrameBuffer scratch_;
  AttachmentCommons commons_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::deque<std::uint64_t> busy_;  // tokens; may name attachments that have ended
  std::uint64_t last_token_ = 0;
  bool draining_ = false;
  OnEmpty on_empty_;
  Timer timer_;
};

}  // namespace tenantd
