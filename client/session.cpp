#include "client/session.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "client/pipeline.h"
#include "client/target.h"
#include "shared/base/clock.h"

namespace tenantd::client {
namespace {

// A server that was heard of this recently is not asked again whether it is still there.
constexpr std::uint64_t fresh_ns = 1 * ns_per_ms;
// Answers to calls that gave up, found before another call; a server that has more sends for ever.
constexpr std::size_t most_late_answers = 4096;

bool is_retryable(ErrorCode code) noexcept {
  return code == ErrorCode::unavailable || code == ErrorCode::draining;
}

void sleep_until(std::uint64_t until_ns) noexcept {
  timespec until{};
  until.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
  until.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

}  // namespace

Session::Session(Target target, std::uint64_t timeout_ms, ForkGuard guard)
    : target_(std::move(target)),
      guard_(std::move(guard)),
      timeout_ms_(timeout_ms == 0 ? ConnectOptions{}.timeout_ms
                                  : std::min(timeout_ms, timeout_max_ms)),
      jitter_(static_cast<std::minstd_rand::result_type>(
          monotonic_ns() ^ (static_cast<std::uint64_t>(::getpid()) << 20U))) {}

Result<std::unique_ptr<Session>> Session::open(Target target, std::uint64_t timeout_ms) {
  if (auto valid = check_token(target.token); !valid) return tl::unexpected(valid.error());
  auto guard = ForkGuard::create();
  if (!guard) return tl::unexpected(guard.error());
  std::unique_ptr<Session> session(new Session(std::move(target), timeout_ms, std::move(*guard)));
  const std::uint64_t until_ns = monotonic_ns() + session->timeout_ms_ * ns_per_ms;
  if (auto attached = session->attach(until_ns); !attached) {
    return fail(session->with_tenant(attached.error()));
  }
  return session;
}

Error Session::with_tenant(Error error) const {
  if (error.tenant.empty()) error.tenant = target_.tenant;
  return error;
}

bool Session::back_off(std::uint64_t least_ms, std::uint64_t until_ns) {
  const std::uint64_t now_ns = monotonic_ns();
  if (now_ns >= until_ns) return false;
  const std::uint64_t jittered_ms = backoff_ms_ / 2 + jitter_() % (backoff_ms_ / 2 + 1);
  backoff_ms_ = std::min(2 * backoff_ms_, backoff_max_ms);
  const std::uint64_t delay_ns = std::max(least_ms, jittered_ms) * ns_per_ms;
  // Rather an early attempt than none: half of what is left, as long as it is worth anything.
  const std::uint64_t left_ns = until_ns - now_ns;
  if (delay_ns >= left_ns && left_ns < 5 * ns_per_ms) return false;
  sleep_until(now_ns + (delay_ns < left_ns ? delay_ns : left_ns / 2));
  return true;
}

Status Session::attach(std::uint64_t until_ns) {
  backoff_ms_ = backoff_min_ms;
  for (;;) {
    auto opened = Attachment::open(target_, until_ns);
    if (opened) {
      if (last_active_ns_ != 0) ++statistics_.reconnects;
      attachment_ = std::move(*opened);
      welcome_ = attachment_->welcome();
      transport_ = attachment_->transport();
      going_away_ = false;
      last_active_ns_ = monotonic_ns();
      return {};
    }
    if (!is_retryable(opened.error().code)) return tl::unexpected(opened.error());
    if (!back_off(opened.error().retry_after_ms, until_ns)) return tl::unexpected(opened.error());
  }
}

// Whether the attachment ended, or was told to, while nobody looked. Asked before every request
// that must not run twice, and before others when the server was silent for a while.
bool Session::is_stale(bool idempotent, std::uint64_t now_ns) {
  if (going_away_) return true;
  if (idempotent && now_ns - last_active_ns_ < fresh_ns) return false;
  for (std::size_t i = 0; i < most_late_answers; ++i) {
    const auto received = attachment_->receive(0);
    if (!received || received->progress == Progress::closed) return true;
    if (received->progress == Progress::timed_out) return false;
    const FrameView& frame = received->frame;
    if (is_type(frame, MessageType::goaway)) {
      ++statistics_.goaways;
      return true;
    }
    // Only answers to calls that gave up may be here.
    if (frame.header.request_id == 0 || frame.header.request_id > last_id_) return true;
    ++statistics_.late_answers;
  }
  return true;
}

Result<std::span<const std::byte>> Session::exchange(MessageType type, MessageType answer,
                                                     std::uint64_t timeout_ms) {
  if (auto own = guard_.check(); !own) return tl::unexpected(own.error());
  ++statistics_.calls;
  if (payload_.size() > max_frame_bytes) {
    return fail(ErrorCode::invalid_argument, "the request is larger than a frame (128 KiB)",
                "send it in several requests");
  }
  const std::uint64_t limit_ms = timeout_ms == 0 ? timeout_ms_ : timeout_ms;
  const std::uint64_t start_ns = monotonic_ns();
  const std::uint64_t until_ns = start_ns + std::min(limit_ms, timeout_max_ms) * ns_per_ms;
  const MessageRule* rule = find_message_rule(static_cast<std::uint16_t>(type));
  const bool idempotent = rule != nullptr && rule->idempotent;
  std::uint64_t quick_losses = 0;
  std::uint16_t attempts = 0;  // that may have run
  for (;;) {
    if (attachment_ && is_stale(idempotent, start_ns)) attachment_.reset();
    if (!attachment_) {
      if (auto attached = attach(until_ns); !attached) {
        if (attached.error().code == ErrorCode::deadline_exceeded) ++statistics_.timeouts;
        return tl::unexpected(attached.error());
      }
    }
    auto outcome = try_once(type, answer, attempts, until_ns);
    if (!outcome) {
      if (outcome.error().code == ErrorCode::deadline_exceeded) {
        ++statistics_.timeouts;
        if (!idempotent) outcome.error().message += "; the request may or may not have run";
      }
      return tl::unexpected(outcome.error());
    }
    if (outcome->fate == Fate::answered) {
      statistics_.latency.record(last_active_ns_ - start_ns);
      return outcome->payload;
    }
    attachment_.reset();
    if (outcome->fate == Fate::unknown && !idempotent) {
      return fail(ErrorCode::unavailable,
                  "the server went away before it answered; the request may or may not have run");
    }
    if (outcome->fate == Fate::unknown && attempts < attempt_mask) ++attempts;
    ++statistics_.resends;
    // A server that accepts and dies, again and again, must not be hammered.
    if (quick_losses++ > 0 && !back_off(0, until_ns)) {
      return fail(ErrorCode::unavailable, "the server went away each time the request was sent");
    }
  }
}

Status Session::exchange_many(const Batch& batch, std::uint64_t timeout_ms) {
  if (auto own = guard_.check(); !own) return own;
  const std::uint64_t limit_ms = timeout_ms == 0 ? timeout_ms_ : timeout_ms;
  const std::uint64_t until_ns = monotonic_ns() + std::min(limit_ms, timeout_max_ms) * ns_per_ms;
  if (attachment_ && is_stale(false, 0)) attachment_.reset();
  Pipeline pipeline(target_, statistics_, Pipeline::Bounds{}, last_id_);
  if (last_active_ns_ != 0 && !attachment_) ++statistics_.reconnects;
  pipeline.adopt(std::move(attachment_));
  const Pipeline::Request request{batch.type, batch.answer, until_ns};
  for (std::size_t i = 0; i < batch.size || pipeline.outstanding() > 0;) {
    while (i < batch.size && pipeline.has_room()) {
      std::vector<std::byte> payload = pipeline.spare();
      Status taken = batch.encode(i, payload);
      if (taken) {
        const auto id = pipeline.submit(request, std::move(payload),
                                        [&batch, i](Result<std::span<const std::byte>> answer) {
                                          batch.done(i, std::move(answer));
                                        });
        if (!id && id.error().code == ErrorCode::resource_exhausted) break;  // then this one again
        if (!id) taken = tl::unexpected(id.error());
      }
      if (!taken) batch.done(i, tl::unexpected(with_tenant(taken.error())));
      if (++i % overlap_frames == 0) pipeline.send_early();
    }
    if (pipeline.process() == 0 && pipeline.outstanding() > 0) pipeline.wait(until_ns);
  }
  last_id_ = pipeline.last_id();
  const bool leaving = pipeline.is_going_away();
  attachment_ = pipeline.release();
  if (!attachment_) return {};
  welcome_ = attachment_->welcome();
  transport_ = attachment_->transport();
  last_active_ns_ = monotonic_ns();
  // Half a frame that could not be sent in time would stand before the next request.
  if (leaving || attachment_->has_unsent()) attachment_.reset();
  return {};
}

Result<Session::Outcome> Session::try_once(MessageType type, MessageType answer,
                                           std::uint16_t attempts, std::uint64_t until_ns) {
  FrameHeader header;
  header.size = static_cast<std::uint32_t>(payload_.size());
  header.type = static_cast<std::uint16_t>(type);
  header.flags = attempts;
  header.request_id = ++last_id_;
  header.deadline_ns = until_ns;
  const auto sent = attachment_->send(header, payload_, until_ns);
  if (!sent) {
    attachment_.reset();
    return tl::unexpected(sent.error());
  }
  if (sent->progress == Progress::timed_out) {
    attachment_.reset();  // half a frame may be out
    return fail(ErrorCode::deadline_exceeded, "the request could not be sent within the timeout");
  }
  if (sent->progress == Progress::closed && !sent->anything_sent) {
    return Outcome{Fate::never_ran, {}};
  }
  // Even if the server closed meanwhile: its GOAWAY may be there to read.
  return await(header.request_id, answer, until_ns);
}

Result<Session::Outcome> Session::await(std::uint64_t id, MessageType answer,
                                        std::uint64_t until_ns) {
  // Frames that are there already do not look at the clock: a server that never stops sending what
  // nobody waits for must not hold a caller past its deadline.
  for (bool first = true;; first = false) {
    if (!first && monotonic_ns() >= until_ns) {
      attachment_.reset();
      return fail(ErrorCode::deadline_exceeded, "no answer within the timeout");
    }
    const auto received = attachment_->receive(until_ns);
    if (!received) {
      attachment_.reset();
      return tl::unexpected(received.error());
    }
    if (received->progress == Progress::timed_out) {
      return fail(ErrorCode::deadline_exceeded, "no answer within the timeout");
    }
    if (received->progress == Progress::closed) return Outcome{Fate::unknown, {}};
    const FrameView& frame = received->frame;
    if (is_type(frame, MessageType::goaway)) {
      if (auto taken = take_goaway(frame); !taken) return tl::unexpected(taken.error());
      if (id > last_taken_id_) return Outcome{Fate::never_ran, {}};
      continue;  // taken: its answer is still to come
    }
    if (is_type(frame, MessageType::error) &&
        (frame.header.request_id == id || frame.header.request_id == 0)) {
      return take_error(frame);
    }
    if (frame.header.request_id == id && is_type(frame, answer)) {
      last_active_ns_ = monotonic_ns();
      return Outcome{Fate::answered, frame.payload};
    }
    const bool late = frame.header.request_id != 0 && frame.header.request_id < id;
    if (!late) {
      attachment_.reset();
      return fail(ErrorCode::protocol_error, "the server sent an answer that nobody waits for");
    }
    ++statistics_.late_answers;
  }
}

Status Session::take_goaway(const FrameView& frame) {
  const auto goaway = decode<Goaway>(frame.payload);
  if (!goaway) {
    attachment_.reset();
    return tl::unexpected(goaway.error());
  }
  ++statistics_.goaways;
  going_away_ = true;
  last_taken_id_ = goaway->last_request_id;
  return {};
}

Result<Session::Outcome> Session::take_error(const FrameView& frame) {
  const bool about_attachment = frame.header.request_id == 0;
  const auto message = decode<ErrorMessage>(frame.payload);
  if (!message) {
    attachment_.reset();
    return tl::unexpected(message.error());
  }
  Error error = message->to_error();
  if (error.code == ErrorCode::draining && !about_attachment) return Outcome{Fate::never_ran, {}};
  if (about_attachment) {
    if (is_retryable(error.code)) return Outcome{Fate::unknown, {}};
    attachment_.reset();
  } else {
    last_active_ns_ = monotonic_ns();
  }
  return fail(std::move(error));
}

}  // namespace tenantd::client
