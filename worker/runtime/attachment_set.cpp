#include "worker/runtime/attachment_set.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "shared/ring/ring_sizing.h"
#include "worker/handlers/frames.h"

namespace tenantd {
namespace {

// No attachment's: those begin with 1.
constexpr std::uint64_t loop_token = 0;
// How long one attachment may be served without a look at who else has come.
constexpr std::uint64_t alone_ns = 100'000;
// What a tenant's turn takes where tenants share the worker. Short, so that one that comes waits
// about as long as for its own answer; much longer than the look at who has come.
constexpr std::int64_t turn_ns = 20'000;

}  // namespace

Result<std::unique_ptr<AttachmentSet>> AttachmentSet::create(Loop& loop, Logger& log,
                                                             const AttachmentLimits& limits,
                                                             RunningMark* mark, SeatEvents events) {
  auto doorbells = DoorbellSet::create();
  if (!doorbells) return tl::unexpected(doorbells.error());
  std::unique_ptr<AttachmentSet> set(
      new AttachmentSet(loop, log, limits, mark, std::move(events), std::move(*doorbells)));
  const Status added = set->doorbells_.add_descriptor(loop.backend_fd(), loop_token);
  if (!added) return tl::unexpected(added.error());
  return set;
}

AttachmentSet::AttachmentSet(Loop& loop, Logger& log, const AttachmentLimits& limits,
                             RunningMark* mark, SeatEvents events, DoorbellSet doorbells)
    : loop_(loop),
      log_(log),
      limits_(limits),
      mark_(mark),
      seat_events_(std::move(events)),
      doorbells_(std::move(doorbells)),
      commons_{doorbells_, scratch_},
      timer_(loop) {}

std::uint32_t AttachmentSet::ring_bytes(const TenantSeat& seat) const noexcept {
  const TenantSettings& settings = seat.services.settings;
  return ring_bytes_for(settings.router.dimension, settings.max_batch_size,
                        limits_.memory_max_bytes);
}

Status AttachmentSet::check_room(const TenantSeat& seat) const {
  Error error;
  error.retry_after_ms = 1000;
  if (draining_) {
    error.code = ErrorCode::draining;
    error.message = "the worker is going away";
    error.retry_after_ms = 0;
    return fail(std::move(error));
  }
  error.code = ErrorCode::resource_exhausted;
  // A stream's buffers stay below a ring's, so every attachment counts as one with rings. The first
  // one is always taken.
  const std::uint64_t bytes = bytes_held_ + ring_attachment_bytes(ring_bytes(seat));
  const bool fits = limits_.memory_max_bytes == 0 || entries_.empty() ||
                    bytes <= limits_.memory_max_bytes / ring_memory_share;
  if (seat.attachments >= std::max(seat.services.settings.max_attachments, 1U) ||
      (mark_ == nullptr && !fits)) {
    error.message = "the tenant has " + std::to_string(seat.attachments) + " attachments already";
    error.hint = "close some, or raise max_attachments or the memory limit";
    return fail(std::move(error));
  }
  if (!fits || entries_.size() >= limits_.most) {
    error.message =
        "the pooled worker has " + std::to_string(entries_.size()) + " attachments already";
    error.hint = "raise memory_max or max_attachments of [pool] in tenantd.toml";
    return fail(std::move(error));
  }
  return {};
}

void AttachmentSet::refuse(const Attach& request, const UniqueFd& socket, const Error& error) {
  ++refused_;
  std::vector<std::byte> frame;
  append_error(frame, 0, error);
  const std::span<const std::byte> piece(frame);
  (void)send_bytes(socket.get(), std::span(&piece, 1));  // if it fits; the peer gets EOF anyway
  log_.write(LogLevel::warning, "attachment refused",
             {{"attachment", request.attachment_id}, {"reason", error.message}});
}

Welcome AttachmentSet::welcome(const Attach& request, const TenantSeat& seat) const {
  const TenantSettings& settings = seat.services.settings;
  Welcome welcome;
  welcome.version = static_cast<std::uint16_t>(request.protocol_version);
  welcome.generation = seat.services.generation;
  welcome.dimension = settings.router.dimension;
  welcome.ring_bytes = ring_bytes(seat);
  welcome.max_batch_size = settings.max_batch_size;
  welcome.encoder = std::string(settings.router.encoder.view());
  return welcome;
}

void AttachmentSet::attach(const Attach& request, UniqueFd socket, TenantSeat& seat) {
  if (!socket) return;
  if (const Status room = check_room(seat); !room) {
    ++seat.services.counters.attachments_refused;
    return refuse(request, socket, room.error());
  }
  const std::uint64_t token = ++last_token_;
  Entry entry;
  entry.supervisor_id = request.attachment_id;
  entry.bytes = ring_attachment_bytes(ring_bytes(seat));
  const Caller caller{request.peer_uid, request.token_tag, request.is_operator == 1};
  entry.attachment = std::make_unique<Attachment>(token, std::move(socket), caller, seat, commons_);
  entry.events = UV_READABLE | UV_DISCONNECT;
  if (!entry.poll.start(loop_, entry.attachment->fd(), entry.events,
                        [this, token](int events) { on_events(token, events); })) {
    return;  // not a socket: nobody to tell
  }
  bytes_held_ += entry.bytes;
  auto& attachment = *entries_.emplace(token, std::move(entry)).first->second.attachment;
  seat.services.counters.attachments = ++seat.attachments;
  if (mark_ != nullptr) seat.last_used_ns = monotonic_ns();
  settle(token, attachment.start(welcome(request, seat)));
}

void AttachmentSet::on_events(std::uint64_t token, int events) {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return;
  Attachment& attachment = *found->second.attachment;
  if (mark_ == nullptr) return settle(token, attachment.on_socket(events));
  if (attachment.is_only_request(events)) return enqueue(token, found->second);
  mark_->running(attachment.seat().context.tenant());
  commons_.slice_end_ns = 1;  // long past: one request at most
  settle(token, attachment.on_socket(events));
  commons_.slice_end_ns = 0;
  mark_->idle();
}

void AttachmentSet::settle(std::uint64_t token, Turn turn) {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return;
  if (turn == Turn::ended) return end(token);
  Entry& entry = found->second;
  const int events = entry.attachment->wanted_events();
  if (events != entry.events) {
    entry.events = events;
    entry.poll.change(events);
  }
  if (turn == Turn::more) enqueue(token, entry);
  if (entry.attachment->is_choosing() || entry.attachment->is_congested()) watch();
}

void AttachmentSet::enqueue(std::uint64_t token, Entry& entry) {
  if (std::exchange(entry.queued, true)) return;
  if (mark_ == nullptr) return busy_.push_back(token);
  TenantSeat& seat = entry.attachment->seat();
  seat.busy.push_back(token);
  if (std::exchange(seat.queued, true)) return;
  // Who took more than its share pays first, idle or not.
  const bool owes = seat.credit_ns < 0;
  seat.credit_ns = owes ? seat.credit_ns + turn_ns : turn_ns;
  (owes ? seats_ : fresh_).push_back(&seat);
}

void AttachmentSet::end(std::uint64_t token) {
  const auto found = entries_.find(token);
  const Attachment& attachment = *found->second.attachment;
  TenantSeat& seat = attachment.seat();
  const EndCause cause = attachment.end_cause();
  if (cause == EndCause::peer_fault || cause == EndCause::slow_reader ||
      cause == EndCause::handshake_timeout) {
    ++seat.services.counters.peer_faults;
    log_.write(LogLevel::warning, "attachment dropped",
               {{"tenant", seat.context.tenant().view()},
                {"attachment", found->second.supervisor_id},
                {"cause", end_cause_name(cause)},
                {"detail", attachment.fault().message}});
  } else if (cause == EndCause::failed) {
    log_.write(LogLevel::error, "attachment failed", {{"attachment", found->second.supervisor_id}});
  }
  bytes_held_ -= found->second.bytes;
  entries_.erase(found);
  seat.services.counters.attachments = --seat.attachments;
  // Not within its turn: whoever gives it that still holds it.
  if (seat.attachments == 0 && !seat.queued && seat_events_.on_left) seat_events_.on_left(seat);
  if (draining_ && entries_.empty()) {
    const OnEmpty on_empty = std::exchange(on_empty_, nullptr);
    if (on_empty) on_empty();
  }
}

bool AttachmentSet::wait_and_serve(int timeout_ms) {
  std::array<std::uint64_t, 64> tokens{};
  const bool left_over = !busy_.empty() || !fresh_.empty() || !seats_.empty();
  const auto rung = doorbells_.wait(tokens, left_over ? 0 : timeout_ms);
  return mark_ == nullptr ? serve_alone(rung, left_over) : serve_shared(rung, left_over);
}

bool AttachmentSet::serve_alone(std::span<const std::uint64_t> rung, bool left_over) {
  bool loop_waits = rung.empty() && !left_over;  // its time has come, or a signal
  for (std::size_t i = 0; i < rung.size(); ++i) {
    if (rung[i] == loop_token) {
      loop_waits = true;
    } else {
      run_slice(rung[i], i + 1 < rung.size() || !busy_.empty());
    }
  }
  run_busy();
  // A client that is alone and quick would pay a system call a request for nobody.
  const std::uint64_t until_ns = busy_.size() == 1 ? monotonic_ns() + alone_ns : 0;
  for (std::uint64_t now_ns = 0; busy_.size() == 1 && !loop_waits && now_ns < until_ns;) {
    commons_.now_ns = 0;
    run_busy();
    now_ns = commons_.now_ns != 0 ? commons_.now_ns : monotonic_ns();
  }
  return loop_waits;
}

// A turn of each that had nothing to do, one of another, then a look at who has come.
bool AttachmentSet::serve_shared(std::span<const std::uint64_t> rung, bool left_over) {
  bool loop_waits = rung.empty() && !left_over;
  for (const std::uint64_t token : rung) {
    if (token == loop_token) {
      loop_waits = true;
    } else if (const auto found = entries_.find(token); found != entries_.end()) {
      enqueue(token, found->second);
    }
  }
  for (std::size_t i = fresh_.size(); i > 0; --i) serve_front(fresh_);
  if (!seats_.empty()) serve_front(seats_);
  return loop_waits;
}

void AttachmentSet::serve_front(std::deque<TenantSeat*>& queue) {
  TenantSeat& seat = *queue.front();
  queue.pop_front();
  if (fresh_.empty() && seats_.empty()) seat.credit_ns = turn_ns;  // owes it to nobody
  mark_->running(seat.context.tenant());
  std::uint64_t now_ns = monotonic_ns();
  while (!seat.busy.empty() && seat.credit_ns > 0) {
    const std::uint64_t token = seat.busy.front();
    seat.busy.pop_front();
    const auto found = entries_.find(token);
    if (found == entries_.end()) continue;
    found->second.queued = false;
    commons_.slice_end_ns = now_ns + static_cast<std::uint64_t>(seat.credit_ns);
    const bool others_wait = !seat.busy.empty() || !fresh_.empty() || !seats_.empty();
    run_slice(token, others_wait);
    const std::uint64_t then_ns = std::exchange(now_ns, monotonic_ns());
    seat.credit_ns -= static_cast<std::int64_t>(now_ns - then_ns);
  }
  commons_.slice_end_ns = 0;
  mark_->idle();
  seat.last_used_ns = now_ns;
  if (!seat.busy.empty()) {
    seat.credit_ns = std::min(seat.credit_ns + turn_ns, turn_ns);
    return seats_.push_back(&seat);
  }
  seat.queued = false;
  if (seat.attachments == 0) return seat_events_.on_left(seat);
  seat_events_.on_turn(seat);
}

void AttachmentSet::run_slice(std::uint64_t token, bool others_wait) {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return;
  commons_.others_wait = others_wait;
  settle(token, found->second.attachment->run());
}

void AttachmentSet::run_busy() {
  for (std::size_t i = busy_.size(); i > 0; --i) {
    const std::uint64_t token = busy_.front();
    busy_.pop_front();
    const auto found = entries_.find(token);
    if (found == entries_.end()) continue;
    found->second.queued = false;
    run_slice(token, !busy_.empty());
  }
}

void AttachmentSet::deliver(const EditResult& result, Dispatcher& dispatcher) {
  const auto found = entries_.find(result.attachment_id);
  if (found == entries_.end()) return dispatcher.count_lost_answer(result);
  settle(result.attachment_id, found->second.attachment->deliver(result));
}

void AttachmentSet::drain(GoawayReason reason, OnEmpty on_empty) {
  draining_ = true;
  on_empty_ = std::move(on_empty);
  std::vector<std::uint64_t> tokens;
  for (const auto& [token, entry] : entries_) tokens.push_back(token);
  if (tokens.empty()) {
    const OnEmpty now = std::exchange(on_empty_, nullptr);
    return now();
  }
  drain_tokens(tokens, reason);
}

void AttachmentSet::drain_seat(const TenantSeat& seat, GoawayReason reason) {
  std::vector<std::uint64_t> tokens;
  for (const auto& [token, entry] : entries_) {
    if (&entry.attachment->seat() == &seat) tokens.push_back(token);
  }
  drain_tokens(tokens, reason);
}

void AttachmentSet::drain_tokens(const std::vector<std::uint64_t>& tokens, GoawayReason reason) {
  for (const std::uint64_t token : tokens) {
    const auto found = entries_.find(token);
    if (found != entries_.end()) settle(token, found->second.attachment->drain(reason));
  }
}

void AttachmentSet::end_all() {
  on_empty_ = nullptr;
  for (const auto& [token, entry] : entries_) {
    TenantSeat& seat = entry.attachment->seat();
    seat.services.counters.attachments = seat.attachments = 0;
  }
  entries_.clear();
}

void AttachmentSet::watch() {
  if (timer_.active()) return;
  const std::uint64_t shortest = std::min(limits_.handshake_timeout_ms, limits_.stall_timeout_ms);
  const std::uint64_t period_ms = std::max<std::uint64_t>(shortest / 4, 1);
  timer_.start(
      period_ms, [this] { check_timeouts(); }, period_ms);
}

void AttachmentSet::check_timeouts() {
  const std::uint64_t now = monotonic_ns();
  std::vector<std::uint64_t> late;
  bool watched = false;
  for (const auto& [token, entry] : entries_) {
    const Attachment& attachment = *entry.attachment;
    if (!attachment.is_choosing() && !attachment.is_congested()) continue;
    watched = true;
    const std::uint64_t limit_ms =
        attachment.is_choosing() ? limits_.handshake_timeout_ms : limits_.stall_timeout_ms;
    if (now - attachment.progress_ns() >= limit_ms * ns_per_ms) late.push_back(token);
  }
  if (!watched) timer_.stop();
  for (const std::uint64_t token : late) {
    Attachment& attachment = *entries_.at(token).attachment;
    Error error;
    error.code = ErrorCode::deadline_exceeded;
    error.message =
        attachment.is_choosing() ? "no choose_transport in time" : "answers were not read in time";
    attachment.expire(
        attachment.is_choosing() ? EndCause::handshake_timeout : EndCause::slow_reader, error);
    end(token);
  }
}

}  // namespace tenantd
