#include "worker/handlers/dispatcher.h"

#include <string>
#include <type_traits>
#include <utility>

#include "shared/base/clock.h"
#include "worker/handlers/cache_handler.h"
#include "worker/handlers/edit_handler.h"
#include "worker/handlers/frames.h"
#include "worker/handlers/history_handler.h"
#include "worker/handlers/page_handler.h"
#include "worker/handlers/route_handler.h"
#include "worker/handlers/stats_handler.h"
#include "worker/handlers/trial_handler.h"

namespace tenantd {
namespace {

Error protocol_fault(std::string message) {
  Error error;
  error.code = ErrorCode::protocol_error;
  error.message = std::move(message);
  return error;
}

// What a client may send once the transport is agreed, by the protocol's own table.
Status check_rules(const FrameHeader& header) {
  if ((header.flags & ~attempt_mask) != 0) return fail(protocol_fault("unknown flags"));
  const MessageRule* const rule = find_message_rule(header.type);
  if (rule == nullptr) {
    return fail(protocol_fault("unknown message type " + std::to_string(header.type)));
  }
  const bool to_worker = rule->sender == Sender::client || rule->sender == Sender::client_to_worker;
  if (!to_worker || rule->type == MessageType::choose_transport) {
    return fail(protocol_fault("a client may not send " + std::string(rule->name) + " here"));
  }
  if (header.request_id == 0) return fail(protocol_fault("a request needs a request_id"));
  return {};
}

UsageSample sample_of(const FrameHeader& header) {
  UsageSample sample;
  sample.operation = static_cast<MessageType>(header.type);
  sample.request_bytes = header.size;
  return sample;
}

}  // namespace

Error store_degraded_error(const StoreHealth& health) {
  Error error;
  error.code = ErrorCode::store_degraded;
  error.message = "the tenant's store is degraded";
  if (!health.reason.empty()) error.message += ": " + health.reason;
  error.hint = "see tenantctl tenant status";
  return error;
}

Dispatched Dispatcher::dispatch(std::uint64_t attachment_id, const ExecutionContext& context,
                                const FrameHeader& header, std::span<const std::byte> payload,
                                std::vector<std::byte>& out, const Caller& caller) {
  const Call call{attachment_id, context, header, payload, out, caller};
  const Status allowed = check_rules(header);
  if (!allowed) return fault(call, allowed.error());
  if (header.deadline_ns != 0 && header.deadline_ns <= monotonic_ns()) {
    const Result<Pong> late = fail(ErrorCode::deadline_exceeded, "the deadline had passed");
    return answer(call, late, sample_of(header));
  }
  if (header.flags != 0 && services_.settings.suspect != 0) {
    const Result<Pong> refused =
        fail(ErrorCode::internal,
             "the worker died while it ran a request of this tenant; this one may have been it and "
             "is not run again",
             "see tenantctl tenant status");
    return answer(call, refused, sample_of(header));
  }
  switch (static_cast<MessageType>(header.type)) {
    case MessageType::ping:
      if (!payload.empty()) return fault(call, protocol_fault("malformed message"));
      return answer(call, Result<Pong>(Pong{}), sample_of(header));
    case MessageType::route:
      return route(call);
    case MessageType::route_batch:
      return route_batch(call);
    case MessageType::routes_edit:
      return edit(call);
    case MessageType::routes_trial:
      return trial(call);
    case MessageType::routes_page_request:
      return page(call);
    case MessageType::tenant_stats_request:
      return stats(call);
    case MessageType::cache_get:
    case MessageType::cache_set:
    case MessageType::cache_delete:
    case MessageType::cache_clear:
    case MessageType::cache_stats_request:
      return cache(call);
    case MessageType::executions_request:
      return history<ExecutionsRequest, Executions>(call);
    case MessageType::retention_request:
      return history<RetentionRequest, Retention>(call);
    default:  // the table has a message for workers that this version cannot do
      return answer(call, Result<Pong>(fail(ErrorCode::unsupported, "not known here")),
                    sample_of(header));
  }
}

Dispatched Dispatcher::fault(const Call& call, const Error& error) {
  append_error(call.out, call.header.request_id, error);
  return Dispatched::peer_fault;
}

template <class T>
Dispatched Dispatcher::answer(const Call& call, const Result<T>& reply, UsageSample sample) {
  const std::size_t before = call.out.size();
  const bool answered = append_answer(call.out, call.header.request_id, reply);
  ++services_.counters.requests;
  if (!answered) ++services_.counters.errors;
  sample.failed = !answered;
  sample.reply_bytes = static_cast<std::uint32_t>(call.out.size() - before - sizeof(FrameHeader));
  if (usage_) usage_(sample);
  return Dispatched::answered;
}

Dispatched Dispatcher::route(const Call& call) {
  const auto request = decode<RouteRequest>(call.payload);
  if (!request) return fault(call, request.error());
  UsageSample sample = sample_of(call.header);
  sample.text_bytes = static_cast<std::uint32_t>(request->text.size());
  const Status attributes = check_attributes(*request);
  if (!attributes) {
    return answer(call, Result<RouteReply>(tl::unexpected(attributes.error())), sample);
  }
  sample.user = request->user;
  sample.department = request->department;
  sample.labels = request->labels;
  RecordedExecution recorded(services_, call.context, call.caller, call.header.request_id, false);
  const auto reply = handle_route(services_, call.context, *request);
  recorded.note(reply);
  return answer(call, reply, sample);
}

// Each item that ran is a request of its own in the counters and to the usage sink; the frames'
// bytes are those of the first.
Dispatched Dispatcher::route_batch(const Call& call) {
  const auto request = decode<RouteBatch>(call.payload);
  if (!request) return fault(call, request.error());
  RecordedExecution recorded(services_, call.context, call.caller, call.header.request_id, true);
  const auto reply = handle_route_batch(services_, call.context, *request);
  recorded.note(reply);
  UsageSample frame = sample_of(call.header);
  if (!reply) return answer(call, reply, frame);
  const std::size_t before = call.out.size();
  const bool fits = append_answer(call.out, call.header.request_id, reply);
  frame.reply_bytes = static_cast<std::uint32_t>(call.out.size() - before - sizeof(FrameHeader));
  for (std::size_t i = 0; i < request->items.size(); ++i) {
    const RouteRequest& item = request->items[i];
    UsageSample sample = i == 0 ? frame : UsageSample{};
    sample.operation = MessageType::route_batch;
    sample.text_bytes = static_cast<std::uint32_t>(item.text.size());
    if (check_attributes(item)) {  // what is not printable is nobody's name
      sample.user = item.user;
      sample.department = item.department;
      sample.labels = item.labels;
    }
    sample.failed = !fits || !reply->items[i].answered;
    ++services_.counters.requests;
    if (sample.failed) ++services_.counters.errors;
    if (usage_) usage_(sample);
  }
  return Dispatched::answered;
}

EditJob Dispatcher::job_of(const Call& call) {
  EditJob job;
  job.attachment_id = call.attachment_id;
  job.request_id = call.header.request_id;
  job.deadline_ns = call.header.deadline_ns;
  job.context = &call.context;
  return job;
}

Dispatched Dispatcher::edit(const Call& call) {
  auto request = decode<RoutesEdit>(call.payload);
  if (!request) return fault(call, request.error());
  Status taken = check_edit(services_, *request);
  if (taken) {
    EditJob job = job_of(call);
    job.edits = to_edits(std::move(*request));
    taken = submit_edit_(std::move(job));
    if (taken) return Dispatched::deferred;
  }
  return answer(call, Result<RoutesEdited>(tl::unexpected(taken.error())), sample_of(call.header));
}

Dispatched Dispatcher::trial(const Call& call) {
  auto request = decode<RoutesTrial>(call.payload);
  if (!request) return fault(call, request.error());
  Status taken = check_trial(services_, *request);
  if (taken) {
    EditJob job = job_of(call);
    job.trial = std::move(*request);
    taken = submit_edit_(std::move(job));
    if (taken) return Dispatched::deferred;
  }
  return answer(call, Result<RoutesTried>(tl::unexpected(taken.error())), sample_of(call.header));
}

template <class Request, class Reply>
Dispatched Dispatcher::history(const Call& call) {
  const auto request = decode<Request>(call.payload);
  if (!request) return fault(call, request.error());
  Status taken = check_history_request(call.caller);
  if (taken) {
    EditJob job;
    job.attachment_id = call.attachment_id;
    job.request_id = call.header.request_id;
    job.deadline_ns = call.header.deadline_ns;
    job.context = &call.context;
    job.history = *request;
    taken = submit_edit_(std::move(job));
    if (taken) return Dispatched::deferred;
  }
  return answer(call, Result<Reply>(tl::unexpected(taken.error())), sample_of(call.header));
}

Dispatched Dispatcher::page(const Call& call) {
  const auto request = decode<RoutesPageRequest>(call.payload);
  if (!request) return fault(call, request.error());
  return answer(call, handle_page(services_, call.context, *request), sample_of(call.header));
}

Dispatched Dispatcher::stats(const Call& call) {
  const auto request = decode<TenantStatsRequest>(call.payload);
  if (!request) return fault(call, request.error());
  return answer(call, handle_stats(services_, call.context), sample_of(call.header));
}

Dispatched Dispatcher::cache(const Call& call) {
  const UsageSample sample = sample_of(call.header);
  // Decodes a T and answers what `handle` makes of it.
  const auto run = [&]<class T>(std::type_identity<T>, auto&& handle) {
    const auto request = decode<T>(call.payload);
    if (!request) return fault(call, request.error());
    return answer(call, handle(*request), sample);
  };
  switch (static_cast<MessageType>(call.header.type)) {
    case MessageType::cache_get:
      return run(std::type_identity<CacheGet>(), [&](const CacheGet& request) {
        return handle_cache_get(services_, call.context, request, monotonic_ns());
      });
    case MessageType::cache_set:
      return run(std::type_identity<CacheSet>(), [&](const CacheSet& request) {
        return handle_cache_set(services_, call.context, request, monotonic_ns());
      });
    case MessageType::cache_delete:
      return run(std::type_identity<CacheDelete>(), [&](const CacheDelete& request) {
        return handle_cache_delete(services_, call.context, request, monotonic_ns());
      });
    case MessageType::cache_clear:
      return run(std::type_identity<CacheClear>(),
                 [&](const CacheClear&) { return handle_cache_clear(services_, call.context); });
    default:
      return run(std::type_identity<CacheStatsRequest>(), [&](const CacheStatsRequest&) {
        return handle_cache_stats(services_, call.context);
      });
  }
}

void Dispatcher::finish_edit(const EditResult& result, std::vector<std::byte>& out) {
  const std::size_t before = out.size();
  UsageSample sample;
  bool answered = false;
  if (result.told) {
    answered = append_history_answer(out, result.request_id, *result.told);
    sample.operation = MessageType::executions_request;
  } else if (result.tried) {
    answered = append_answer(out, result.request_id, *result.tried);
    sample.operation = MessageType::routes_trial;
  } else {
    answered = append_answer(out, result.request_id, result.edited);
    sample.operation = MessageType::routes_edit;
  }
  ++services_.counters.requests;
  if (!answered) ++services_.counters.errors;
  sample.failed = !answered;
  sample.reply_bytes = static_cast<std::uint32_t>(out.size() - before - sizeof(FrameHeader));
  if (usage_) usage_(sample);
}

void Dispatcher::count_lost_answer(const EditResult& result) noexcept {
  ++services_.counters.requests;
  const bool answered = result.told    ? result.told->has_value()
                        : result.tried ? result.tried->has_value()
                                       : result.edited.has_value();
  if (!answered) ++services_.counters.errors;
}

}  // namespace tenantd
