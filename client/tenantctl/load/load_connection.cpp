#include "client/tenantctl/load/load_connection.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"

namespace tenantd {
namespace {

constexpr double ns_per_second = 1e9;

Status check_answer(bool ping, std::span<const std::byte> payload) {
  if (ping) return decode<Pong>(payload).map([](const Pong&) {});
  return decode<RouteReply>(payload).map([](const RouteReply&) {});
}

}  // namespace

LoadConnection::LoadConnection(client::Target target, const LoadShared& shared, std::uint32_t index)
    : target_(std::move(target)),
      shared_(shared),
      index_(index),
      pipeline_(target_, statistics_, {shared.plan.depth, std::size_t{1} << 28U}) {}

Result<std::unique_ptr<LoadConnection>> LoadConnection::open(client::Target target,
                                                             const LoadShared& shared,
                                                             std::uint32_t index) {
  std::unique_ptr<LoadConnection> made(new LoadConnection(std::move(target), shared, index));
  const std::uint64_t until_ns = monotonic_ns() + shared.plan.connect.timeout_ms * ns_per_ms;
  auto attachment = client::Attachment::open(made->target_, until_ns);
  if (!attachment) return tl::unexpected(attachment.error());
  made->welcome_ = (*attachment)->welcome();
  made->transport_ = (*attachment)->transport();
  made->pipeline_.adopt(std::move(*attachment));
  return made;
}

bool LoadConnection::may_send(std::uint64_t now_ns) const noexcept {
  return now_ns < end_ns_ && measured_ < quota_;
}

void LoadConnection::submit(std::uint64_t intended_ns) {
  client::Pipeline::Request request;
  request.type = shared_.plan.ping ? MessageType::ping : MessageType::route;
  request.answer = shared_.plan.ping ? MessageType::pong : MessageType::route_reply;
  request.until_ns = monotonic_ns() + shared_.plan.connect.timeout_ms * ns_per_ms;
  auto payload = pipeline_.spare();
  const auto& encoded = shared_.payloads[next_payload_];
  payload.assign(encoded.begin(), encoded.end());
  next_payload_ = (next_payload_ + 1) % shared_.payloads.size();
  if (intended_ns >= measure_ns_) ++measured_;
  const auto taken = pipeline_.submit(
      request, std::move(payload), [this, intended_ns](Result<std::span<const std::byte>> answer) {
        answered(intended_ns, answer);
      });
  if (!taken) answered(intended_ns, tl::unexpected(taken.error()));
}

void LoadConnection::answered(std::uint64_t intended_ns,
                              const Result<std::span<const std::byte>>& answer) {
  if (intended_ns < measure_ns_) return;
  last_answer_ns_ = monotonic_ns();
  const Status valid =
      answer ? check_answer(shared_.plan.ping, *answer) : tl::unexpected(answer.error());
  if (!valid) {
    ++errors_[std::string(error_code_name(valid.error().code))];
    return;
  }
  ++answered_;
  latency_.record(last_answer_ns_ - intended_ns);
}

void LoadConnection::send_closed(std::uint64_t now_ns) {
  while (pipeline_.has_room() && may_send(now_ns)) submit(now_ns);
}

void LoadConnection::send_open(std::uint64_t now_ns) {
  while (due_ns_ <= now_ns && pipeline_.has_room() && may_send(due_ns_)) {
    submit(due_ns_);
    due_ns_ += interval_ns_;
  }
}

// What was due before the end waited at least until now.
void LoadConnection::count_unsent(std::uint64_t now_ns) {
  for (; due_ns_ <= now_ns && may_send(due_ns_); due_ns_ += interval_ns_) {
    if (due_ns_ < measure_ns_) continue;
    ++unsent_;
    ++measured_;
    latency_.record(now_ns - due_ns_);
  }
}

void LoadConnection::run(std::uint64_t start_ns) {
  const LoadPlan& plan = shared_.plan;
  const bool open_loop = plan.rate_per_second > 0;
  measure_ns_ = start_ns + plan.warm_up_ms * ns_per_ms;
  if (plan.duration_ms != 0) end_ns_ = measure_ns_ + plan.duration_ms * ns_per_ms;
  if (plan.count != 0) {
    quota_ = plan.count / plan.connections + (index_ < plan.count % plan.connections ? 1 : 0);
  }
  if (open_loop) {
    const double spacing_ns = ns_per_second / plan.rate_per_second;
    interval_ns_ =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(spacing_ns * plan.connections));
    due_ns_ = start_ns + static_cast<std::uint64_t>(spacing_ns * index_);
  }
  next_payload_ = index_ % shared_.payloads.size();
  for (;;) {
    const std::uint64_t now_ns = monotonic_ns();
    open_loop ? send_open(now_ns) : send_closed(now_ns);
    const bool sending = may_send(open_loop ? std::max(due_ns_, now_ns) : now_ns);
    if (!sending && pipeline_.outstanding() == 0) break;
    if (pipeline_.process() > 0) continue;
    std::uint64_t until_ns = ~std::uint64_t{0};
    if (sending) {
      until_ns = open_loop && pipeline_.has_room() ? due_ns_ : end_ns_;
    }
    // A wait without a bound needs none of its own: every request has a deadline.
    pipeline_.wait(std::min(until_ns, now_ns + 1'000 * ns_per_ms));
  }
  if (open_loop) count_unsent(std::min(monotonic_ns(), end_ns_));
}

void LoadConnection::add_to(LoadResult& result) const {
  result.latency.merge(latency_);
  result.answered += answered_;
  result.unsent += unsent_;
  for (const auto& [code, count] : errors_) result.errors[code] += count;
  const std::uint64_t until_ns = std::max(last_answer_ns_, measure_ns_);
  result.elapsed_ns = std::max(result.elapsed_ns, until_ns - measure_ns_);
  result.reconnects += statistics_.reconnects;
  result.transport = transport_;
}

}  // namespace tenantd
