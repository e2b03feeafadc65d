// One side of a ring: frames out through the own memory, frames in from the peer's.
//
// Runs in: worker (worker_ring.h) and client library (client_ring.h), which own one each and add
// how a sleeping peer is woken. Single-threaded, lock-free, never blocks, makes no system call.
// Whatever the peer wrote is loaded once, validated and used from the local copy; a frame is copied
// to private memory before anybody looks at it. A violation is a protocol_error: drop the
// attachment.
//
// A turn:   while (pop) handle, try_push answers;   if (publish()) wake the peer.
// To sleep: prepare_sleep(for) → `work`: go on with the turn; `sleep`: may block; then wake_up().
// Ordering is Dekker's: publisher stores tail then loads the peer's sleep word, sleeper stores its
// sleep word then loads the peer's tail, all four sequentially consistent, so at least one sees the
// other (what a fence between the two accesses does in virtio's EVENT_IDX and io_uring's
// NEED_WAKEUP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "shared/base/error.h"
#include "shared/ring/ring_layout.h"

namespace tenantd {

// Private memory that one frame's payload is copied to: 8-byte aligned, grows to max_frame_bytes at
// most. May serve many rings if each frame is dealt with before the next pop.
class FrameBuffer {
 public:
  // At least `bytes` writable bytes; earlier contents are lost.
  [[nodiscard]] std::byte* reserve(std::uint32_t bytes);

 private:
  std::unique_ptr<std::uint64_t[]> words_;
  std::size_t capacity_bytes_ = 0;
};

struct FrameView {
  FrameHeader header;
  std::span<const std::byte> payload;  // in the FrameBuffer, until the next pop
};

enum class PushOutcome { pushed, full };
enum class SleepDecision { sleep, work };

// The four places an endpoint works on. Owned by its caller, who keeps them mapped.
struct RingPlaces {
  RingHeader* own = nullptr;
  std::byte* own_data = nullptr;
  const RingHeader* peer = nullptr;
  const std::byte* peer_data = nullptr;
  std::uint32_t ring_bytes = 0;  // of both data areas; is_valid_ring_bytes
};

class RingEndpoint {
 public:
  explicit RingEndpoint(const RingPlaces& places) noexcept;

  // Copies a frame (header.size is set from the payload's pieces) into the own data, not yet
  // visible: publish() shows a whole batch. Errors: invalid_argument (over max_frame_bytes),
  // protocol_error.
  [[nodiscard]] Result<PushOutcome> try_push_pieces(
      FrameHeader header, std::span<const std::span<const std::byte>> payload);
  [[nodiscard]] Result<PushOutcome> try_push(const FrameHeader& header,
                                             std::span<const std::byte> payload) {
    return try_push_pieces(header, std::span(&payload, 1));
  }

  // The next frame, or none. Error: protocol_error (then every later call fails likewise).
  [[nodiscard]] Result<std::optional<FrameView>> pop(FrameBuffer& buffer);

  // Makes pushed frames and freed space visible. True: the peer sleeps on it and must be woken now;
  // at most once a sleep of the peer.
  [[nodiscard]] bool publish() noexcept;
  // A cheap look whether pop would find something (or fail); no promise.
  [[nodiscard]] bool readable() const noexcept;

  // Says that this side is about to sleep until there are frames (or, with `for_space`, also until
  // there is room for a frame of max_frame_bytes), and looks once more. Publishes first; when that
  // must wake the peer, *wake_peer is set. `work`: this side is marked awake again.
  [[nodiscard]] SleepDecision prepare_sleep(bool for_space, bool& wake_peer) noexcept;
  // The same for a side that takes no frames until there is room for its own: unread frames neither
  // wake it nor make this say `work`.
  [[nodiscard]] SleepDecision prepare_sleep_for_space(bool& wake_peer) noexcept;
  // This side runs again.
  void wake_up() noexcept;

  // Takes the lines that the next frame will be written to from the peer's cache, where they are
  // since it read the last lap's. For a side that waits for an answer anyway.
  void prepare_pushes() noexcept;

  [[nodiscard]] std::uint32_t peer_cpu() const noexcept;
  void publish_own_cpu(std::uint32_t cpu) noexcept;

 private:
  [[nodiscard]] bool room_for(std::uint64_t bytes) noexcept;  // sets broken_ on a violation
  [[nodiscard]] tl::unexpected<Error> violation(const char* what);
  void fetch_early() const noexcept;
  void copy_in(std::uint64_t position, std::span<const std::byte> bytes) noexcept;
  void copy_out(std::uint64_t position, std::byte* out, std::size_t size) const noexcept;

  // An embedding of 384 floats; of longer frames the CPU sees the pattern itself.
  static constexpr std::size_t early_lines = 26;

  RingPlaces places_;
  std::uint64_t mask_;
  std::uint64_t tail_ = 0;  // own, pushed
  std::uint64_t published_tail_ = 0;
  std::uint64_t peer_head_ = 0;   // last validated
  std::uint64_t head_ = 0;        // own, popped
  std::uint64_t peer_tail_ = 0;   // last validated
  std::uint32_t sleeps_ = 0;      // counts own sleeps
  std::uint32_t rung_sleep_ = 0;  // the peer's sleep word that was rung last
  std::uint32_t own_cpu_ = 0;
  bool marked_asleep_ = false;  // the own sleep word is not 0
  bool freed_ = false;          // popped since the last publish()
  bool broken_ = false;         // the peer violated the protocol
};

}  // namespace tenantd
