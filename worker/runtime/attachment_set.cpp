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

}  // namespace

Result<std::unique_ptr<AttachmentSet>> AttachmentSet::create(Loop& loop,
                                                             const ExecutionContext& context,
                                                             HandlerServices& services,
                                                             Dispatcher& dispatcher, Logger& log,
                                                             const AttachmentLimits& limits) {
  auto doorbells = DoorbellSet::create();
  if (!doorbells) return tl::unexpected(doorbells.error());
  std::unique_ptr<AttachmentSet> set(
      new AttachmentSet(loop, context, services, dispatcher, log, limits, std::move(*doorbells)));
  const Status added = set->doorbells_.add_descriptor(loop.backend_fd(), loop_token);
  if (!added) return tl::unexpected(added.error());
  return set;
}

AttachmentSet::AttachmentSet(Loop& loop, const ExecutionContext& context, HandlerServices& services,
                             Dispatcher& dispatcher, Logger& log, const AttachmentLimits& limits,
                             DoorbellSet doorbells)
    : loop_(loop),
      context_(context),
      services_(services),
      log_(log),
      limits_(limits),
      doorbells_(std::move(doorbells)),
      commons_{dispatcher, doorbells_, scratch_},
      timer_(loop) {}

std::uint32_t AttachmentSet::ring_bytes() const noexcept {
  const TenantSettings& settings = services_.settings;
  return ring_bytes_for(settings.router.dimension, settings.max_batch_size,
                        limits_.memory_max_bytes);
}

std::size_t AttachmentSet::capacity() const noexcept {
  std::size_t most = services_.settings.max_attachments;
  if (limits_.memory_max_bytes > 0) {
    // A stream's buffers stay below a ring's, so every attachment counts as one with rings.
    most = std::min<std::size_t>(
        most, limits_.memory_max_bytes / ring_memory_share / ring_attachment_bytes(ring_bytes()));
  }
  return std::max<std::size_t>(most, 1);
}

void AttachmentSet::refuse(const Attach& request, const UniqueFd& socket, const Error& error) {
  ++services_.counters.attachments_refused;
  std::vector<std::byte> frame;
  append_error(frame, 0, error);
  const std::span<const std::byte> piece(frame);
  (void)send_bytes(socket.get(), std::span(&piece, 1));  // if it fits; the peer gets EOF anyway
  log_.write(LogLevel::warning, "attachment refused",
             {{"attachment", request.attachment_id}, {"reason", error.message}});
}

void AttachmentSet::attach(const Attach& request, UniqueFd socket) {
  if (!socket) return;
  Error error;
  if (request.tenant_id.view() != context_.tenant().view()) {
    error.code = ErrorCode::permission_denied;
    error.message = "this worker serves another tenant";
    return refuse(request, socket, error);
  }
  if (draining_) {
    error.code = ErrorCode::draining;
    error.message = "the worker is going away";
    return refuse(request, socket, error);
  }
  if (entries_.size() >= capacity()) {
    error.code = ErrorCode::resource_exhausted;
    error.message = "the tenant has " + std::to_string(entries_.size()) + " attachments already";
    error.hint = "close some, or raise max_attachments or the memory limit";
    error.retry_after_ms = 1000;
    return refuse(request, socket, error);
  }
  const std::uint64_t token = ++last_token_;
  Entry entry;
  entry.supervisor_id = request.attachment_id;
  entry.attachment = std::make_unique<Attachment>(token, std::move(socket), context_, commons_);
  entry.events = UV_READABLE | UV_DISCONNECT;
  if (!entry.poll.start(loop_, entry.attachment->fd(), entry.events, [this, token](int events) {
        const auto found = entries_.find(token);
        if (found != entries_.end()) settle(token, found->second.attachment->on_socket(events));
      })) {
    return;  // not a socket: nobody to tell
  }
  Welcome welcome;
  welcome.version = static_cast<std::uint16_t>(request.protocol_version);
  welcome.generation = services_.generation;
  welcome.dimension = services_.settings.router.dimension;
  welcome.ring_bytes = ring_bytes();
  welcome.max_batch_size = services_.settings.max_batch_size;
  welcome.encoder = std::string(services_.settings.router.encoder.view());
  auto& attachment = *entries_.emplace(token, std::move(entry)).first->second.attachment;
  services_.counters.attachments = entries_.size();
  settle(token, attachment.start(welcome));
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
  if (turn == Turn::more && !entry.queued) {
    entry.queued = true;
    busy_.push_back(token);
  }
  if (entry.attachment->is_choosing() || entry.attachment->is_congested()) watch();
}

void AttachmentSet::end(std::uint64_t token) {
  const auto found = entries_.find(token);
  const Attachment& attachment = *found->second.attachment;
  const EndCause cause = attachment.end_cause();
  if (cause == EndCause::peer_fault || cause == EndCause::slow_reader ||
      cause == EndCause::handshake_timeout) {
    ++services_.counters.peer_faults;
    log_.write(LogLevel::warning, "attachment dropped",
               {{"attachment", found->second.supervisor_id},
                {"cause", end_cause_name(cause)},
                {"detail", attachment.fault().message}});
  } else if (cause == EndCause::failed) {
    log_.write(LogLevel::error, "attachment failed", {{"attachment", found->second.supervisor_id}});
  }
  entries_.erase(found);
  services_.counters.attachments = entries_.size();
  if (draining_ && entries_.empty()) {
    const OnEmpty on_empty = std::exchange(on_empty_, nullptr);
    if (on_empty) on_empty();
  }
}

bool AttachmentSet::wait_and_serve(int timeout_ms) {
  std::array<std::uint64_t, 64> tokens{};
  const bool left_over = !busy_.empty();
  const auto rung = doorbells_.wait(tokens, left_over ? 0 : timeout_ms);
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

void AttachmentSet::deliver(const EditResult& result) {
  const auto found = entries_.find(result.attachment_id);
  if (found == entries_.end()) {
    return commons_.dispatcher.count_lost_answer(result);
  }
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
  for (const std::uint64_t token : tokens) {
    const auto found = entries_.find(token);
    if (found != entries_.end()) settle(token, found->second.attachment->drain(reason));
  }
}

void AttachmentSet::end_all() {
  on_empty_ = nullptr;
  entries_.clear();
  services_.counters.attachments = 0;
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
