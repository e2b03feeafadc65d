#include "shared/ring/ring.h"

#include <algorithm>
#include <cstring>

namespace tenantd {

std::byte* FrameBuffer::reserve(std::uint32_t bytes) {
  if (bytes > capacity_bytes_ || words_ == nullptr) {
    const std::uint32_t wanted = std::bit_ceil(std::max(bytes, 4096U));
    words_ = std::make_unique_for_overwrite<std::uint64_t[]>(wanted / sizeof(std::uint64_t));
    capacity_bytes_ = wanted;
  }
  return reinterpret_cast<std::byte*>(words_.get());
}

RingEndpoint::RingEndpoint(const RingPlaces& places) noexcept
    : places_(places), mask_(places.ring_bytes - 1) {}

tl::unexpected<Error> RingEndpoint::violation(const char* what) {
  broken_ = true;
  return fail(ErrorCode::protocol_error, std::string("ring peer: ") + what);
}

void RingEndpoint::copy_in(std::uint64_t position, std::span<const std::byte> bytes) noexcept {
  if (bytes.empty()) return;
  const std::size_t at = position & mask_;
  const std::size_t first = std::min<std::size_t>(bytes.size(), places_.ring_bytes - at);
  std::memcpy(places_.own_data + at, bytes.data(), first);
  if (first < bytes.size()) {
    std::memcpy(places_.own_data, bytes.data() + first, bytes.size() - first);
  }
}

void RingEndpoint::copy_out(std::uint64_t position, std::byte* out,
                            std::size_t size) const noexcept {
  const std::size_t at = position & mask_;
  const std::size_t first = std::min<std::size_t>(size, places_.ring_bytes - at);
  std::memcpy(out, places_.peer_data + at, first);
  if (first < size) std::memcpy(out + first, places_.peer_data, size - first);
}

// Invariant: peer_head_ ≤ published_tail_ ≤ tail_ ≤ peer_head_ + ring_bytes, so nothing here can
// wrap.
bool RingEndpoint::room_for(std::uint64_t bytes) noexcept {
  if (places_.ring_bytes - (tail_ - peer_head_) >= bytes) return true;
  const std::uint64_t loaded = places_.peer->head.load(std::memory_order_seq_cst);
  if (loaded < peer_head_ || loaded > published_tail_ || loaded % record_alignment != 0) {
    broken_ = true;
    return false;
  }
  peer_head_ = loaded;
  return places_.ring_bytes - (tail_ - peer_head_) >= bytes;
}

Result<PushOutcome> RingEndpoint::try_push_pieces(
    FrameHeader header, std::span<const std::span<const std::byte>> payload) {
  std::size_t size = 0;
  for (const auto& piece : payload) {
    if (piece.size() > max_frame_bytes - size) {
      return fail(ErrorCode::invalid_argument, "the message is longer than a frame may be");
    }
    size += piece.size();
  }
  if (broken_) return violation("already dropped");
  header.size = static_cast<std::uint32_t>(size);
  const std::uint64_t record = record_bytes(header.size);
  if (!room_for(record)) {
    if (broken_) return violation("consumed what was never published");
    return PushOutcome::full;
  }
  copy_in(tail_, std::as_bytes(std::span(&header, 1)));
  std::uint64_t position = tail_ + sizeof header;
  for (const auto& piece : payload) {
    copy_in(position, piece);
    position += piece.size();
  }
  tail_ += record;
  return PushOutcome::pushed;
}

// Asks for the lines of what has been published before anybody reads the first: from the peer's
// cache each takes as long as ten from the own one, and the header would be waited for alone.
void RingEndpoint::fetch_early() const noexcept {
  const auto bytes = static_cast<std::size_t>(
      std::min<std::uint64_t>(peer_tail_ - head_, early_lines * cache_line_bytes));
  const std::size_t at = head_ & mask_;
  for (std::size_t i = 0; i < bytes; i += cache_line_bytes) {
    __builtin_prefetch(places_.peer_data + ((at + i) & mask_));
  }
}

void RingEndpoint::prepare_pushes() noexcept {
  const std::size_t at = tail_ & mask_;
  for (std::size_t i = 0; i < early_lines; ++i) {
    __builtin_prefetch(places_.own_data + ((at + i * cache_line_bytes) & mask_), 1);
  }
}

// Invariant: head_ ≤ peer_tail_ ≤ head_ + ring_bytes; all differences are taken after the
// comparison that makes them non-negative.
Result<std::optional<FrameView>> RingEndpoint::pop(FrameBuffer& buffer) {
  if (broken_) return violation("already dropped");
  if (peer_tail_ == head_) {
    const std::uint64_t loaded = places_.peer->tail.load(std::memory_order_acquire);
    if (loaded < peer_tail_) return violation("its tail went back");
    if (loaded - head_ > places_.ring_bytes) return violation("more published than fits");
    if (loaded % record_alignment != 0) return violation("its tail is not aligned");
    peer_tail_ = loaded;
    if (peer_tail_ == head_) return std::nullopt;
    fetch_early();
  }
  const std::uint64_t published = peer_tail_ - head_;
  if (published < sizeof(FrameHeader)) return violation("less than a header published");
  FrameView frame;
  copy_out(head_, reinterpret_cast<std::byte*>(&frame.header), sizeof frame.header);
  if (frame.header.size > max_frame_bytes) return violation("frame too large");
  if ((frame.header.flags & ~attempt_mask) != 0) return violation("unknown flags");
  const std::uint64_t record = record_bytes(frame.header.size);
  if (record > published) return violation("frame longer than what was published");
  std::byte* payload = buffer.reserve(frame.header.size);
  copy_out(head_ + sizeof(FrameHeader), payload, frame.header.size);
  frame.payload = {payload, frame.header.size};
  head_ += record;
  freed_ = true;
  return frame;
}

bool RingEndpoint::publish() noexcept {
  std::uint32_t wakes = 0;
  if (freed_) {
    places_.own->head.store(head_, std::memory_order_seq_cst);
    freed_ = false;
    wakes |= sleep_for_space;
  }
  if (tail_ != published_tail_) {
    places_.own->tail.store(tail_, std::memory_order_seq_cst);
    published_tail_ = tail_;
    wakes |= sleep_for_frames;
  }
  if (wakes == 0) return false;
  const std::uint32_t sleep = places_.peer->sleep.load(std::memory_order_seq_cst);
  if ((sleep & wakes) == 0 || sleep == rung_sleep_) return false;
  rung_sleep_ = sleep;
  return true;
}

bool RingEndpoint::readable() const noexcept {
  return broken_ || peer_tail_ != head_ ||
         places_.peer->tail.load(std::memory_order_relaxed) != head_;
}

SleepDecision RingEndpoint::prepare_sleep(bool for_space, bool& wake_peer) noexcept {
  wake_peer = publish();
  ++sleeps_;
  const std::uint32_t wants = sleep_for_frames | (for_space ? sleep_for_space : 0);
  marked_asleep_ = true;
  places_.own->sleep.store(sleeps_ * (sleep_mask + 1) + wants, std::memory_order_seq_cst);
  const bool frames = broken_ || places_.peer->tail.load(std::memory_order_seq_cst) != head_;
  const bool space = for_space && (room_for(record_bytes(max_frame_bytes)) || broken_);
  if (!frames && !space) return SleepDecision::sleep;
  wake_up();
  return SleepDecision::work;
}

SleepDecision RingEndpoint::prepare_sleep_for_space(bool& wake_peer) noexcept {
  wake_peer = publish();
  ++sleeps_;
  marked_asleep_ = true;
  places_.own->sleep.store(sleeps_ * (sleep_mask + 1) + sleep_for_space, std::memory_order_seq_cst);
  const bool space = room_for(record_bytes(max_frame_bytes));
  if (!space && !broken_) return SleepDecision::sleep;
  wake_up();
  return SleepDecision::work;
}

void RingEndpoint::wake_up() noexcept {
  if (!marked_asleep_) return;  // the peer reads the word with each publish(): leave it its line
  marked_asleep_ = false;
  places_.own->sleep.store(0, std::memory_order_relaxed);
}

std::uint32_t RingEndpoint::peer_cpu() const noexcept {
  return places_.peer->cpu.load(std::memory_order_relaxed);
}

void RingEndpoint::publish_own_cpu(std::uint32_t cpu) noexcept {
  if (cpu == own_cpu_) return;
  own_cpu_ = cpu;
  places_.own->cpu.store(cpu, std::memory_order_relaxed);
}

}  // namespace tenantd
