#include "client/pipeline.h"

#include <poll.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "client/session.h"
#include "shared/base/clock.h"

namespace tenantd::client {
namespace {

constexpr std::size_t max_spares = 64;

Error make_error(ErrorCode code, const char* message) {
  Error error;
  error.code = code;
  error.message = message;
  return error;
}

}  // namespace

Pipeline::Pipeline(const Target& target, ClientStatistics& statistics, const Bounds& bounds,
                   std::uint64_t last_id, SocketWatcher* watcher)
    : target_(target),
      statistics_(statistics),
      bounds_(bounds),
      watcher_(watcher),
      first_id_(last_id + 1),
      last_id_(last_id),
      next_to_send_(last_id + 1),
      earliest_ns_(never_ns),
      backoff_ms_(Session::backoff_min_ms),
      jitter_(static_cast<std::minstd_rand::result_type>(monotonic_ns())) {}

Pipeline::~Pipeline() { (void)release(); }

void Pipeline::adopt(std::unique_ptr<Attachment> attachment) {
  if (!attachment) return;
  attachment_ = std::move(attachment);
  phase_ = Phase::attached;
  was_attached_ = true;
}

std::unique_ptr<Attachment> Pipeline::release() noexcept {
  if (attachment_ && watcher_ != nullptr) watcher_->unwatch(attachment_->socket());
  const bool usable = phase_ == Phase::attached;
  phase_ = Phase::detached;
  auto attachment = std::exchange(attachment_, nullptr);
  if (!usable) attachment.reset();
  return attachment;
}

Pipeline::Entry* Pipeline::find(std::uint64_t id) noexcept {
  if (id < first_id_ || id - first_id_ >= entries_.size()) return nullptr;
  Entry& entry = entries_[static_cast<std::size_t>(id - first_id_)];
  return entry.state == State::ended ? nullptr : &entry;
}

std::vector<std::byte> Pipeline::spare() {
  if (spares_.empty()) return {};
  auto buffer = std::move(spares_.back());
  spares_.pop_back();
  buffer.clear();
  return buffer;
}

Result<std::uint64_t> Pipeline::submit(const Request& request, std::vector<std::byte> payload,
                                       Done done) {
  if (payload.size() > max_frame_bytes) {
    return fail(ErrorCode::invalid_argument, "the request is larger than a frame (128 KiB)",
                "send it in several requests");
  }
  // One that is larger than the bound alone passes alone.
  if (outstanding_ >= bounds_.requests ||
      (outstanding_ > 0 && bytes_ + payload.size() > bounds_.bytes)) {
    return fail(ErrorCode::resource_exhausted, "too many requests wait for their answers",
                "wait for some of them");
  }
  const MessageRule* rule = find_message_rule(static_cast<std::uint16_t>(request.type));
  Entry entry;
  entry.request = request;
  entry.idempotent = rule != nullptr && rule->idempotent;
  entry.start_ns = monotonic_ns();
  bytes_ += payload.size();
  entry.payload = std::move(payload);
  entry.done = std::move(done);
  entries_.push_back(std::move(entry));
  ++outstanding_;
  ++statistics_.calls;
  earliest_ns_ = std::min(earliest_ns_, request.until_ns);
  return ++last_id_;
}

// Takes an entry out of the books; its place stays until those before it have gone.
void Pipeline::drop(Entry& entry) noexcept {
  entry.state = State::ended;
  bytes_ -= entry.payload.size();
  --outstanding_;
  if (spares_.size() < max_spares) spares_.push_back(std::move(entry.payload));
  entry.payload = {};
}

void Pipeline::finish(Entry& entry, Result<std::span<const std::byte>> result) {
  const Done done = std::move(entry.done);
  drop(entry);
  ++ended_in_turn_;
  if (!result && result.error().tenant.empty()) result.error().tenant = target_.tenant;
  if (done) done(std::move(result));  // may submit: `entry` may have moved
}

bool Pipeline::cancel(std::uint64_t id) {
  Entry* entry = find(id);
  if (entry == nullptr) return false;
  entry->done = nullptr;
  drop(*entry);
  return true;
}

template <class Chosen>
void Pipeline::fail_each(const Error& error, Chosen&& chosen) {
  const std::uint64_t end = last_id_ + 1;  // what a `done` submits meanwhile is not meant
  for (std::uint64_t id = first_id_; id < end; ++id) {
    Entry* entry = find(id);
    if (entry != nullptr && chosen(id, *entry)) finish(*entry, tl::unexpected(error));
  }
}

void Pipeline::expire(std::uint64_t now_ns) {
  if (now_ns < earliest_ns_) return;
  const std::uint64_t end = last_id_ + 1;
  for (std::uint64_t id = first_id_; id < end; ++id) {
    Entry* entry = find(id);
    if (entry == nullptr || entry->request.until_ns > now_ns) continue;
    ++statistics_.timeouts;
    Error error = make_error(ErrorCode::deadline_exceeded, "no answer within the timeout");
    if (entry->state == State::waiting && attach_failed_) {
      error = last_attach_error_;  // says more: nobody listens, not yet again
    } else if (entry->state == State::sent && !entry->idempotent) {
      error.message += "; the request may or may not have run";
    }
    finish(*entry, tl::unexpected(std::move(error)));
  }
  earliest_ns_ = never_ns;
  for (const Entry& entry : entries_) {
    if (entry.state != State::ended) {
      earliest_ns_ = std::min(earliest_ns_, entry.request.until_ns);
    }
  }
}

void Pipeline::rest(std::uint64_t least_ms, std::uint64_t now_ns) {
  const std::uint64_t jittered_ms = backoff_ms_ / 2 + jitter_() % (backoff_ms_ / 2 + 1);
  backoff_ms_ = std::min(2 * backoff_ms_, Session::backoff_max_ms);
  retry_at_ns_ = now_ns + std::max(least_ms, jittered_ms) * ns_per_ms;
}

void Pipeline::could_not_attach(const Error& error, std::uint64_t now_ns) {
  (void)release();
  if (error.code == ErrorCode::unavailable || error.code == ErrorCode::draining) {
    last_attach_error_ = error;
    attach_failed_ = true;
    return rest(error.retry_after_ms, now_ns);
  }
  fail_each(error, [](std::uint64_t, const Entry&) { return true; });
}

void Pipeline::go_on_attaching(std::uint64_t now_ns) {
  if (phase_ == Phase::detached) {
    if (now_ns < retry_at_ns_) return;
    auto begun = Attachment::begin(target_, 0);
    if (!begun) return could_not_attach(begun.error(), now_ns);
    attachment_ = std::move(*begun);
    phase_ = Phase::attaching;
    if (watcher_ != nullptr) watcher_->watch(attachment_->socket(), false);
  }
  const auto attached = attachment_->advance(0);
  if (!attached) return could_not_attach(attached.error(), now_ns);
  if (!*attached) return;
  phase_ = Phase::attached;
  attach_failed_ = false;
  going_away_ = false;
  next_to_send_ = first_id_;
  if (std::exchange(was_attached_, true)) ++statistics_.reconnects;
}

bool Pipeline::take_error(const FrameView& frame) {
  const auto message = decode<ErrorMessage>(frame.payload);
  if (!message) {
    lose(&message.error());
    return false;
  }
  const Error error = message->to_error();
  const std::uint64_t id = frame.header.request_id;
  if (id == 0) {  // about the attachment
    const bool passing = error.code == ErrorCode::unavailable || error.code == ErrorCode::draining;
    lose(passing ? nullptr : &error);
    return false;
  }
  Entry* entry = find(id);
  if (entry == nullptr) {
    ++statistics_.late_answers;
  } else if (error.code == ErrorCode::draining) {
    entry->state = State::waiting;  // never ran: for the next attachment
    going_away_ = true;
    ++statistics_.resends;
  } else {
    quick_losses_ = 0;
    finish(*entry, tl::unexpected(error));
  }
  return true;
}

bool Pipeline::take(const FrameView& frame) {
  if (is_type(frame, MessageType::goaway)) {
    const auto goaway = decode<Goaway>(frame.payload);
    if (!goaway) {
      lose(&goaway.error());
      return false;
    }
    ++statistics_.goaways;
    going_away_ = true;
    last_taken_id_ = goaway->last_request_id;
    for (std::uint64_t id = std::max(first_id_, last_taken_id_ + 1); id < next_to_send_; ++id) {
      Entry* entry = find(id);
      if (entry == nullptr || entry->state != State::sent) continue;
      entry->state = State::waiting;
      ++statistics_.resends;
    }
    return true;
  }
  if (is_type(frame, MessageType::error)) return take_error(frame);
  const std::uint64_t id = frame.header.request_id;
  Entry* entry = find(id);
  if (entry != nullptr && entry->state == State::sent && is_type(frame, entry->request.answer)) {
    quick_losses_ = 0;
    backoff_ms_ = Session::backoff_min_ms;
    statistics_.latency.record(monotonic_ns() - entry->start_ns);
    finish(*entry, frame.payload);
    return true;
  }
  if (entry == nullptr && id != 0 && id <= last_id_) {
    ++statistics_.late_answers;  // cancelled, or too late
    return true;
  }
  const Error fault =
      make_error(ErrorCode::protocol_error, "the server sent an answer that nobody waits for");
  lose(&fault);
  return false;
}

void Pipeline::collect() {
  more_ = false;
  for (std::size_t i = 0; i < slice_frames; ++i) {
    const auto received = attachment_->receive_ready();
    if (!received) return lose(&received.error());
    if (received->progress == Progress::timed_out) return;
    if (received->progress == Progress::closed) return lose();
    if (!take(received->frame)) return;
  }
  more_ = true;  // perhaps in our own buffer, where no socket tells of it
}

void Pipeline::send_early() {
  if (phase_ == Phase::attached && !going_away_ && attachment_->overlaps()) send_waiting();
}

void Pipeline::send_waiting() {
  blocked_ = false;
  next_to_send_ = std::max(next_to_send_, first_id_);
  while (!going_away_ && next_to_send_ <= last_id_) {
    Entry* entry = find(next_to_send_);
    if (entry != nullptr && entry->state == State::waiting) {
      FrameHeader header;
      header.size = static_cast<std::uint32_t>(entry->payload.size());
      header.type = static_cast<std::uint16_t>(entry->request.type);
      header.flags = entry->attempts;
      header.request_id = next_to_send_;
      header.deadline_ns = entry->request.until_ns;
      const auto pushed = attachment_->try_push(header, entry->payload);
      if (!pushed) return lose(&pushed.error());
      if (*pushed == PushOutcome::full) {
        blocked_ = true;
        break;
      }
      entry->state = State::sent;
    }
    ++next_to_send_;
  }
  const auto flushed = attachment_->flush();
  if (!flushed) return lose(&flushed.error());
  if (*flushed == Progress::timed_out) blocked_ = true;
  // Closed: what the server said last is still to be read; the next collect() sees the end.
}

void Pipeline::lose(const Error* fault) {
  const std::uint64_t taken = going_away_ ? last_taken_id_ : never_ns;
  if (fault != nullptr) {
    const Error copy = *fault;
    (void)release();
    fail_each(copy, [](std::uint64_t, const Entry& entry) { return entry.state == State::sent; });
  } else {
    (void)release();
    const Error error =
        make_error(ErrorCode::unavailable,
                   "the server went away before it answered; the request may or may not have run");
    fail_each(error, [&](std::uint64_t id, Entry& entry) {
      if (entry.state != State::sent) return false;
      if (!entry.idempotent && id <= taken) return true;
      entry.state = State::waiting;
      if (id <= taken && entry.attempts < attempt_mask) ++entry.attempts;
      ++statistics_.resends;
      return false;
    });
  }
  // A server that accepts and dies, again and again, must not be hammered.
  if (quick_losses_++ > 0) rest(0, monotonic_ns());
}

std::size_t Pipeline::process() {
  if (std::exchange(processing_, true)) return 0;  // from a `done`
  ended_in_turn_ = 0;
  struct Guard {
    bool& processing;
    ~Guard() { processing = false; }
  } guard{processing_};
  const std::uint64_t now_ns = monotonic_ns();
  if (phase_ == Phase::attached) collect();
  expire(now_ns);
  if (phase_ != Phase::attached && outstanding_ > 0) go_on_attaching(now_ns);
  // Outstanding answers of a server that goes away still come; then it is left.
  if (phase_ == Phase::attached && going_away_) {
    const bool awaited = std::any_of(entries_.begin(), entries_.end(),
                                     [](const Entry& e) { return e.state == State::sent; });
    if (!awaited) {
      (void)release();
      if (outstanding_ > 0) go_on_attaching(now_ns);
    }
  }
  if (phase_ == Phase::attached) send_waiting();
  while (!entries_.empty() && entries_.front().state == State::ended) {
    entries_.pop_front();
    ++first_id_;
  }
  watch();
  return ended_in_turn_;
}

void Pipeline::watch() {
  if (watcher_ != nullptr && attachment_) watcher_->watch(attachment_->socket(), blocked_);
}

std::uint64_t Pipeline::next_due_ns() const noexcept {
  if (phase_ == Phase::attached && more_) return 0;
  if (outstanding_ == 0) return never_ns;
  std::uint64_t due_ns = earliest_ns_;
  if (phase_ == Phase::detached) due_ns = std::min(due_ns, retry_at_ns_);
  // Requests that nobody has tried to send yet.
  if (phase_ == Phase::attached && !blocked_ && !going_away_ && next_to_send_ <= last_id_) return 0;
  return due_ns;
}

void Pipeline::wait(std::uint64_t until_ns) noexcept {
  const std::uint64_t wake_ns = std::min(until_ns, next_due_ns());
  if (monotonic_ns() >= wake_ns) return;
  if (phase_ == Phase::attached) return attachment_->wait(wake_ns, blocked_);
  if (phase_ == Phase::attaching) {
    (void)wait_for_socket(attachment_->socket(), POLLIN, wake_ns);
    return;
  }
  timespec until{};
  until.tv_sec = static_cast<time_t>(wake_ns / 1'000'000'000);
  until.tv_nsec = static_cast<long>(wake_ns % 1'000'000'000);
  (void)::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);  // a signal may end it
}

}  // namespace tenantd::client
