#include "worker/runtime/attachment.h"

#include <uv.h>

#include <array>
#include <cstring>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "worker/handlers/frames.h"

namespace tenantd {
namespace {

Error protocol_fault(const char* message) {
  Error error;
  error.code = ErrorCode::protocol_error;
  error.message = message;
  return error;
}

}  // namespace

std::string_view end_cause_name(EndCause cause) noexcept {
  switch (cause) {
    case EndCause::peer_closed:
      return "peer_closed";
    case EndCause::peer_fault:
      return "peer_fault";
    case EndCause::handshake_timeout:
      return "handshake_timeout";
    case EndCause::slow_reader:
      return "slow_reader";
    case EndCause::drained:
      return "drained";
    case EndCause::failed:
      return "failed";
    case EndCause::none:
      break;
  }
  return "none";
}

Attachment::Attachment(std::uint64_t token, UniqueFd socket, const Caller& caller, TenantSeat& seat,
                       AttachmentCommons& commons)
    : token_(token),
      socket_(std::move(socket)),
      caller_(caller),
      seat_(seat),
      commons_(commons),
      progress_ns_(monotonic_ns()) {}

Attachment::~Attachment() {
  // The peer holds the doorbell too: closing our copy would not take it out of the set.
  if (ring_) commons_.doorbells.remove(ring_->doorbell_fd());
}

Turn Attachment::start(const Welcome& welcome) {
  ring_bytes_ = welcome.ring_bytes;
  if (!append_frame(out_, 0, welcome)) return end(EndCause::failed);
  return flush() ? Turn::sleeping : Turn::ended;
}

int Attachment::wanted_events() const noexcept {
  int events = UV_DISCONNECT;
  const bool reads = phase_ == Phase::choosing || (phase_ == Phase::serving && !is_congested());
  // On a ring the socket only says EOF; anything else that is readable there is a violation.
  if (reads || ring_) events |= UV_READABLE;
  if (is_congested() && !ring_) events |= UV_WRITABLE;
  return events;
}

bool Attachment::is_only_request(int uv_events) const noexcept {
  return uv_events == UV_READABLE && phase_ == Phase::serving && !ring_;
}

Turn Attachment::on_socket(int uv_events) {
  if ((uv_events & UV_WRITABLE) != 0 && !flush()) return Turn::ended;
  if ((uv_events & UV_READABLE) == 0) {
    return (uv_events & UV_DISCONNECT) != 0 ? end(EndCause::peer_closed) : run();
  }
  if (phase_ == Phase::choosing) return receive_choice();
  if (!ring_) return run();
  std::byte unexpected{};
  const auto received = receive_bytes(socket_.get(), {&unexpected, 1});
  if (!received || received->outcome == IoOutcome::closed) return end(EndCause::peer_closed);
  if (received->outcome == IoOutcome::would_block) return Turn::sleeping;
  return violate(protocol_fault("bytes on the socket of a ring"));
}

Turn Attachment::receive_choice() {
  auto received = receive_bytes(socket_.get(), reader_.space(), true);
  if (!received) return end(EndCause::failed);
  if (received->outcome == IoOutcome::closed) return end(EndCause::peer_closed);
  if (received->outcome == IoOutcome::would_block) return Turn::sleeping;
  reader_.received(received->size);
  if (received->descriptor_count > 0) {
    if (offered_memory_ || received->descriptor_count > 1 || received->surplus_descriptors) {
      return violate(protocol_fault("more than one descriptor"));
    }
    offered_memory_ = std::move(received->descriptors[0]);
  }
  const auto frame = reader_.next();
  if (!frame) return violate(frame.error());
  return *frame ? choose(**frame) : Turn::sleeping;
}

Turn Attachment::choose(const FrameView& frame) {
  if (frame.header.type != static_cast<std::uint16_t>(MessageType::choose_transport)) {
    return violate(protocol_fault("choose_transport must come first"));
  }
  const auto choice = decode<ChooseTransport>(frame.payload);
  if (!choice) return violate(choice.error());
  progress_ns_ = monotonic_ns();
  if (choice->transport == Transport::ring) return open_ring();
  if (offered_memory_) return violate(protocol_fault("a stream needs no descriptor"));
  phase_ = Phase::serving;
  if (!append_frame(out_, 0, RingReady{Transport::stream})) return end(EndCause::failed);
  return run();
}

Turn Attachment::open_ring() {
  if (ring_bytes_ == 0) return violate(protocol_fault("no ring was offered"));
  if (!offered_memory_) return violate(protocol_fault("a ring needs the client's memory"));
  if (reader_.buffered() > 0) return violate(protocol_fault("bytes before ring_ready"));
  if (is_congested()) return end(EndCause::slow_reader);
  auto ring = WorkerRing::accept(std::move(offered_memory_), ring_bytes_);
  if (!ring) {
    return ring.error().code == ErrorCode::protocol_error ? violate(ring.error())
                                                          : end(EndCause::failed);
  }
  std::vector<std::byte> ready;
  if (!append_frame(ready, 0, RingReady{Transport::ring})) return end(EndCause::failed);
  const std::span<const std::byte> piece(ready);
  const std::array<int, 2> descriptors = {ring->memory_fd(), ring->doorbell_fd()};
  const auto sent = send_bytes(socket_.get(), std::span(&piece, 1), descriptors);
  // Only the welcome can be before it in the socket's buffer: it fits, or the peer has gone.
  if (!sent || sent->size != ready.size()) return end(EndCause::failed);
  ring->close_memory_fd();
  if (!commons_.doorbells.add(ring->doorbell_fd(), token_)) return end(EndCause::failed);
  ring_.emplace(std::move(*ring));
  reader_.release_if_empty();
  phase_ = Phase::serving;
  return run();
}

bool Attachment::serve(const FrameView& frame) {
  const Dispatched dispatched =
      seat_.dispatcher.dispatch(token_, seat_.context, frame.header, frame.payload, out_, caller_);
  if (dispatched == Dispatched::peer_fault) {
    fault_ = protocol_fault("a frame that the protocol does not allow");
    return false;
  }
  last_request_id_ = frame.header.request_id;
  if (dispatched == Dispatched::deferred) ++edits_in_flight_;
  return true;
}

Attachment::Next Attachment::next_frame(FrameView& frame) {
  auto next = ring_ ? ring_->pop(commons_.scratch) : reader_.next();
  if (next && !*next && !ring_) {
    const auto received = receive_bytes(socket_.get(), reader_.space());
    if (!received || received->outcome == IoOutcome::closed) return Next::closed;
    reader_.received(received->size);
    next = reader_.next();
  }
  if (!next) {
    fault_ = std::move(next.error());
    return Next::violation;
  }
  if (!*next) return Next::none;
  frame = **next;
  return Next::frame;
}

Turn Attachment::run() {
  if (ring_) ring_->wake_up();
  if (!flush()) return Turn::ended;
  bool exhausted = false;
  std::size_t unshown = 0;
  for (std::size_t i = 0; i < slice_frames && !exhausted; ++i) {
    if (phase_ != Phase::serving || congested_) break;
    FrameView frame{};
    switch (next_frame(frame)) {
      case Next::closed:
        return end(EndCause::peer_closed);
      case Next::violation:
        return violate(std::move(fault_));
      case Next::none:
        exhausted = true;
        break;
      case Next::frame: {
        if (!serve(frame)) {
          if (flush()) (void)end(EndCause::peer_fault);
          return Turn::ended;
        }
        const bool overlap =
            ++unshown >= overlap_frames && ring_.has_value() && ring_->peer_is_elsewhere();
        if (overlap || out_.size() - sent_ >= flush_bytes) {
          if (!flush()) return Turn::ended;
          unshown = 0;
        }
        if (commons_.slice_end_ns == 0) break;
        commons_.now_ns = monotonic_ns();
        if (commons_.now_ns >= commons_.slice_end_ns) i = slice_frames;  // the others' turn
      }
    }
  }
  if (!flush()) return Turn::ended;
  return rest(exhausted);
}

Turn Attachment::rest(bool input_exhausted) {
  if (congested_) {
    const bool room = ring_ && ring_->prepare_sleep_for_space() == SleepDecision::work;
    return room ? Turn::more : Turn::sleeping;
  }
  if (phase_ == Phase::draining) {
    return edits_in_flight_ == 0 ? end(EndCause::drained) : Turn::sleeping;
  }
  if (!input_exhausted) return Turn::more;
  if (!ring_) {
    reader_.release_if_empty();
    return Turn::sleeping;
  }
  if (!commons_.others_wait) {
    if (ring_->spin_for_frames(commons_.now_ns)) return Turn::more;
    // Not where tenants share the worker: what ran meanwhile would count as this one's turn.
    if (commons_.slice_end_ns == 0 && ring_->yield_for_frames()) return Turn::more;
  }
  return ring_->prepare_sleep(false) == SleepDecision::work ? Turn::more : Turn::sleeping;
}

Turn Attachment::deliver(const EditResult& result) {
  if (edits_in_flight_ > 0) --edits_in_flight_;
  seat_.dispatcher.finish_edit(result, out_);
  if (!flush()) return Turn::ended;
  // The side that waits for requests keeps waiting for them.
  if (congested_ || phase_ == Phase::draining) return rest(false);
  return Turn::sleeping;
}

Turn Attachment::drain(GoawayReason reason) {
  if (phase_ == Phase::draining) return Turn::sleeping;
  phase_ = Phase::draining;
  if (!append_frame(out_, 0, Goaway{reason, last_request_id_})) return end(EndCause::failed);
  if (!flush()) return Turn::ended;
  return rest(false);
}

void Attachment::expire(EndCause cause, const Error& error) {
  append_error(out_, 0, error);
  if (flush()) (void)end(cause);
}

Turn Attachment::violate(Error error) {
  fault_ = std::move(error);
  append_error(out_, 0, fault_);
  if (flush()) (void)end(EndCause::peer_fault);
  // A peer that broke the protocol and went away is still at fault.
  end_cause_ = EndCause::peer_fault;
  return Turn::ended;
}

Turn Attachment::end(EndCause cause) noexcept {
  end_cause_ = cause;
  return Turn::ended;
}

bool Attachment::flush() {
  if (sent_ == out_.size()) return true;
  const std::size_t before = sent_;
  if (!(ring_ ? flush_ring() : flush_stream())) return false;
  const bool was_congested = std::exchange(congested_, sent_ < out_.size());
  // A clock is read only where somebody asks for the time: of a peer that does not keep up.
  if (congested_ && (sent_ > before || !was_congested)) progress_ns_ = monotonic_ns();
  if (congested_) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent_));
  } else {
    out_.clear();
    if (out_.capacity() > flush_bytes) out_.shrink_to_fit();
  }
  sent_ = 0;
  return true;
}

bool Attachment::flush_stream() {
  while (sent_ < out_.size()) {
    const std::span<const std::byte> rest_of_out = std::span(out_).subspan(sent_);
    const auto sent = send_bytes(socket_.get(), std::span(&rest_of_out, 1));
    if (!sent || sent->outcome == IoOutcome::closed) {
      (void)end(EndCause::peer_closed);
      return false;
    }
    if (sent->outcome == IoOutcome::would_block) return true;
    sent_ += sent->size;
  }
  return true;
}

bool Attachment::flush_ring() {
  while (sent_ < out_.size()) {
    FrameHeader header;
    std::memcpy(&header, out_.data() + sent_, sizeof header);
    const auto payload = std::span(out_).subspan(sent_ + sizeof header, header.size);
    const auto pushed = ring_->try_push(header, payload);
    if (!pushed) {
      (void)end(EndCause::peer_fault);
      fault_ = pushed.error();
      return false;
    }
    if (*pushed == PushOutcome::full) break;
    sent_ += sizeof header + header.size;
  }
  ring_->publish();
  return true;
}

}  // namespace tenantd
