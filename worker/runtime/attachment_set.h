// All attachments of a worker: taking them in, giving each its slices, ending them.
//
// Runs in: worker, loop thread. Bounded in number by their tenants' settings and by memory: what
// their rings can make this worker hold stays below a quarter of its memory limit. No timer runs
// unless an attachment is in its handshake or does not take its answers.
//
// Where tenants share the worker they share its time by deficit round robin (Shreedhar and
// Varghese, 1995), counted in nanoseconds; one that had nothing to do goes first.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "shared/contract/link.h"
#include "shared/loop/loop.h"
#include "worker/runtime/attachment.h"
#include "worker/runtime/log.h"
#include "worker/runtime/running_mark.h"

namespace tenantd {

struct AttachmentLimits {
  std::uint64_t memory_max_bytes = 0;  // 0: unknown, then only the settings' number counts
  std::uint64_t handshake_timeout_ms = 5'000;
  std::uint64_t stall_timeout_ms = 30'000;  // of a peer that takes none of its answers
  std::size_t most = SIZE_MAX;              // of all tenants
};

class AttachmentSet {
 public:
  using OnEmpty = std::function<void()>;
  // Of tenants that share the worker.
  struct SeatEvents {
    // A seat's last attachment has ended; the seat may be destroyed in the call.
    std::function<void(TenantSeat&)> on_left;
    // A seat has had its turn, and has attachments.
    std::function<void(TenantSeat&)> on_turn;
  };

  // Everything is borrowed and outlives the set. `mark`: tenants share the worker, and it is said
  // there whose request runs; null: one tenant has it.
  [[nodiscard]] static Result<std::unique_ptr<AttachmentSet>> create(Loop& loop, Logger& log,
                                                                     const AttachmentLimits& limits,
                                                                     RunningMark* mark,
                                                                     SeatEvents events);

  // Takes a client's socket in, or writes one error frame and closes it.
  void attach(const Attach& request, UniqueFd socket, TenantSeat& seat);
  // Writes one error frame and closes the socket.
  void refuse(const Attach& request, const UniqueFd& socket, const Error& error);
  // The answer of an edit; counted as lost when its attachment has gone.
  void deliver(const EditResult& result, Dispatcher& dispatcher);
  // Says GOAWAY to all and refuses new ones; calls `on_empty` (perhaps at once) when all have
  // ended.
  void drain(GoawayReason reason, OnEmpty on_empty);
  // Says GOAWAY to the attachments of one tenant.
  void drain_seat(const TenantSeat& seat, GoawayReason reason);
  void end_all();

  // One turn of the worker: waits for doorbells and for the loop, at most `timeout_ms` (-1: for
  // ever) and not at all while an attachment has work left, and gives each its slice. True: the
  // loop wants a turn.
  [[nodiscard]] bool wait_and_serve(int timeout_ms);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  struct Entry {
    std::unique_ptr<Attachment> attachment;
    Poll poll;  // destroyed before the attachment closes its socket
    std::uint64_t supervisor_id = 0;
    std::uint64_t bytes = 0;  // that its rings may take
    int events = 0;
    bool queued = false;  // in busy_ or its seat's
  };
  AttachmentSet(Loop& loop, Logger& log, const AttachmentLimits& limits, RunningMark* mark,
                SeatEvents events, DoorbellSet doorbells);
  // Of a tenant's next attachment: settings change what is needed.
  [[nodiscard]] std::uint32_t ring_bytes(const TenantSeat& seat) const noexcept;
  [[nodiscard]] Status check_room(const TenantSeat& seat) const;
  [[nodiscard]] Welcome welcome(const Attach& request, const TenantSeat& seat) const;
  void on_events(std::uint64_t token, int events);
  void settle(std::uint64_t token, Turn turn);
  void end(std::uint64_t token);
  void run_slice(std::uint64_t token, bool others_wait);
  void run_busy();
  [[nodiscard]] bool serve_alone(std::span<const std::uint64_t> rung, bool left_over);
  [[nodiscard]] bool serve_shared(std::span<const std::uint64_t> rung, bool left_over);
  void enqueue(std::uint64_t token, Entry& entry);
  void serve_front(std::deque<TenantSeat*>& queue);
  void drain_tokens(const std::vector<std::uint64_t>& tokens, GoawayReason reason);
  void watch();
  void check_timeouts();

  Loop& loop_;
  Logger& log_;
  AttachmentLimits limits_;
  RunningMark* mark_;  // null: one tenant has the worker
  SeatEvents seat_events_;
  DoorbellSet doorbells_;
  FrameBuffer scratch_;
  AttachmentCommons commons_;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::deque<std::uint64_t> busy_;  // tokens; may name attachments that have ended
  std::deque<TenantSeat*> fresh_;   // had nothing to do: they go before the others
  std::deque<TenantSeat*> seats_;   // have work left from their turn
  std::uint64_t bytes_held_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t last_token_ = 0;
  bool draining_ = false;
  OnEmpty on_empty_;
  Timer timer_;
};

}  // namespace tenantd
