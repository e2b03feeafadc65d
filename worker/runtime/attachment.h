// One client's connection: handshake, then frames over its socket or over rings.
//
// Runs in: worker, loop thread. Everything that arrives is hostile; a violation costs this
// attachment only. Holds at most: one frame being received, answers of at most one slice, its
// rings.
//
// welcome → choose_transport → ring_ready → requests and answers → goaway or EOF. While answers
// cannot be delivered (socket or ring full) no request is taken, so what waits is bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shared/os/fd.h"
#include "shared/protocol/messages.h"
#include "shared/ring/worker_ring.h"
#include "worker/runtime/frame_reader.h"
#include "worker/runtime/tenant_seat.h"

namespace tenantd {

// What all attachments of a worker share. Outlives them.
struct AttachmentCommons {
  DoorbellSet& doorbells;
  FrameBuffer& scratch;      // of ring frames: each is dealt with before the next
  bool others_wait = false;  // other attachments have work: nobody may spin
  // What a clock said last, where one was looked at since it was set to 0.
  std::uint64_t now_ns = 0;
  // Where tenants share the worker: when a slice ends at the latest; 0: it has no such end.
  std::uint64_t slice_end_ns = 0;
};

enum class Turn : std::uint8_t {
  sleeping,  // nothing to do until the next event
  more,      // the slice is used up: call run() again after the others
  ended,     // to be destroyed; end_cause() says why
};

enum class EndCause : std::uint8_t {
  none,
  peer_closed,
  peer_fault,  // what the peer sent broke the protocol
  handshake_timeout,
  slow_reader,
  drained,
  failed,  // an operating system error of ours
};
[[nodiscard]] std::string_view end_cause_name(EndCause cause) noexcept;

class Attachment {
 public:
  static constexpr std::size_t slice_frames = 64;
  static constexpr std::size_t flush_bytes = 64U << 10U;  // answers gathered before they are sent

  // `seat` outlives the attachment. `token` names it to the doorbell set.
  Attachment(std::uint64_t token, UniqueFd socket, const Caller& caller, TenantSeat& seat,
             AttachmentCommons& commons);
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  [[nodiscard]] Turn start(const Welcome& welcome);
  [[nodiscard]] Turn on_socket(int uv_events);
  // Takes and answers at most one slice of requests, at least one if there is one.
  [[nodiscard]] Turn run();
  [[nodiscard]] Turn deliver(const EditResult& result);
  // Says GOAWAY and takes no further request; ends once every answer is out.
  [[nodiscard]] Turn drain(GoawayReason reason);
  // Ends it because of a timer; an error frame goes out if there is room.
  void expire(EndCause cause, const Error& error);

  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] TenantSeat& seat() const noexcept { return seat_; }
  // The events say no more than that requests came: run() will do.
  [[nodiscard]] bool is_only_request(int uv_events) const noexcept;
  // UV_* events wanted from the socket now.
  [[nodiscard]] int wanted_events() const noexcept;
  [[nodiscard]] bool is_choosing() const noexcept { return phase_ == Phase::choosing; }
  [[nodiscard]] bool uses_ring() const noexcept { return ring_.has_value(); }
  // The peer does not take its answers: no request is taken until it does.
  [[nodiscard]] bool is_congested() const noexcept { return congested_; }
  // CLOCK_MONOTONIC of the last progress: attached, transport chosen, or, while it is congested,
  // answers taken by the peer.
  [[nodiscard]] std::uint64_t progress_ns() const noexcept { return progress_ns_; }
  [[nodiscard]] EndCause end_cause() const noexcept { return end_cause_; }
  [[nodiscard]] const Error& fault() const noexcept { return fault_; }

 private:
  enum class Phase : std::uint8_t { choosing, serving, draining };
  enum class Next : std::uint8_t { frame, none, closed, violation };

  [[nodiscard]] Turn end(EndCause cause) noexcept;
  // Queues an error frame, tries once to send it, ends.
  [[nodiscard]] Turn violate(Error error);
  [[nodiscard]] Turn receive_choice();
  [[nodiscard]] Turn choose(const FrameView& frame);
  [[nodiscard]] Turn open_ring();
  [[nodiscard]] Next next_frame(FrameView& frame);
  [[nodiscard]] bool serve(const FrameView& frame);  // false: violation, its error frame is queued
  [[nodiscard]] Turn rest(bool input_exhausted);
  [[nodiscard]] bool flush();  // false: ended
  [[nodiscard]] bool flush_stream();
  [[nodiscard]] bool flush_ring();

  std::uint64_t token_;
  UniqueFd socket_;
  Caller caller_;
  TenantSeat& seat_;
  AttachmentCommons& commons_;
  FrameReader reader_;
  UniqueFd offered_memory_;  // came with choose_transport
  std::optional<WorkerRing> ring_;
  std::vector<std::byte> out_;  // whole frames; the first sent_ bytes are delivered
  std::size_t sent_ = 0;
  std::uint64_t progress_ns_;
  std::uint64_t last_request_id_ = 0;
  std::uint32_t edits_in_flight_ = 0;
  std::uint32_t ring_bytes_ = 0;
  Phase phase_ = Phase::choosing;
  bool congested_ = false;  // the last flush left something
  EndCause end_cause_ = EndCause::none;
  Error fault_;
};

}  // namespace tenantd
