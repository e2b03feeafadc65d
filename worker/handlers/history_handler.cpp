#include "worker/handlers/history_handler.h"

#include <algorithm>
#include <variant>

#include "shared/base/clock.h"
#include "worker/handlers/frames.h"
#include "worker/history/execution_recorder.h"

namespace tenantd {
namespace {

ExecutionOutcome outcome_of(const RouteReply& reply) noexcept {
  if (reply.source != AnswerSource::computed) return ExecutionOutcome::cached;
  return reply.is_fallback ? ExecutionOutcome::fallback : ExecutionOutcome::matched;
}

}  // namespace

Status check_history_request(const Caller& caller) {
  if (caller.is_operator) return {};
  return fail(ErrorCode::permission_denied,
              "the history names the tenant's users: only operators may see it",
              "attach as root, as tenantd's own user or as a member of admin_group");
}

bool append_history_answer(std::vector<std::byte>& out, std::uint64_t request_id,
                           const Result<HistoryAnswer>& answer) {
  if (!answer) {
    append_error(out, request_id, answer.error());
    return false;
  }
  const Status appended = std::visit(
      [&](const auto& message) { return append_frame(out, request_id, message); }, *answer);
  if (!appended) append_error(out, request_id, appended.error());
  return appended.has_value();
}

void RecordedExecution::begin(bool is_batch) noexcept {
  chosen_ = recorder_->chooses(context_);
  if (chosen_ || is_batch) began_ns_ = monotonic_ns();
}

std::uint32_t RecordedExecution::latency_us() const noexcept {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>((monotonic_ns() - began_ns_) / 1000, UINT32_MAX));
}

void RecordedExecution::note_one(const Result<RouteReply>& reply) {
  if (chosen_) record(reply ? &*reply : nullptr, wall_clock_us(), latency_us());
}

void RecordedExecution::note_all(const Result<RouteBatchReply>& reply) {
  if (!reply) {  // none of its items ran
    if (chosen_) record(nullptr, wall_clock_us(), latency_us());
    return;
  }
  const std::int64_t now_us = wall_clock_us();
  const std::uint32_t took_us = latency_us();
  bool chosen = chosen_;
  for (const RouteBatchItem& item : reply->items) {
    if (chosen) record(item.answered ? &item.reply : nullptr, now_us, took_us);
    chosen = recorder_->chooses(context_);
  }
}

void RecordedExecution::record(const RouteReply* reply, std::int64_t now_us,
                               std::uint32_t latency_us) {
  ExecutionRecord record;
  record.time_us = now_us;
  record.request_id = request_id_;
  record.caller = caller_;
  record.latency_us = latency_us;
  record.outcome = static_cast<std::uint8_t>(ExecutionOutcome::error);
  if (reply != nullptr) {
    record.outcome = static_cast<std::uint8_t>(outcome_of(*reply));
    record.confidence = reply->best.confidence;
    (void)record.route.assign(reply->best.route);  // a stored id fits
  }
  recorder_->record(context_, record);
}

}  // namespace tenantd
