#include "control/admin/dispatch.h"

#include <utility>

#include "shared/protocol/frame.h"

namespace tenantd {
namespace {

template <class Answer>
void respond_with(const Respond& respond, const Result<Answer>& answer) {
  if (!answer) return respond(MessageType::error, encode_error(answer.error()));
  std::vector<std::byte> payload;
  const Status encoded = encode(*answer, payload);
  if (!encoded) return respond(MessageType::error, encode_error(encoded.error()));
  if (payload.size() > max_frame_bytes) {
    Error error;
    error.message = "the answer does not fit a frame";
    return respond(MessageType::error, encode_error(error));
  }
  respond(Answer::type, std::move(payload));
}

template <class Request, class Answer>
Status serve(const AdminContext& context, const Requester& requester,
             std::span<const std::byte> payload, Respond respond) {
  const auto request = decode<Request>(payload);
  if (!request) return fail(request.error());
  Reply<Answer> reply = [respond = std::move(respond)](Result<Answer> answer) {
    respond_with(respond, answer);
  };
  run_operation(context, requester, *request, std::move(reply));
  return {};
}

Status serve_ping(std::span<const std::byte> payload, const Respond& respond) {
  const auto ping = decode<Ping>(payload);
  if (!ping) return fail(ping.error());
  respond(MessageType::pong, {});
  return {};
}

}  // namespace

std::vector<std::byte> encode_error(const Error& error) {
  std::vector<std::byte> payload;
  // Cannot fail: from() cuts every field to its bound.
  (void)encode(ErrorMessage::from(error), payload);
  return payload;
}

Status dispatch(const AdminContext& context, const Requester& requester, std::uint16_t type,
                std::span<const std::byte> payload, Respond respond) {
  const MessageRule* const rule = find_message_rule(type);
  const bool allowed = rule != nullptr && (rule->sender == Sender::client_to_control ||
                                           rule->sender == Sender::client);
  if (!allowed) return fail(ErrorCode::protocol_error, "not a request that control takes");
  switch (rule->type) {
    case MessageType::ping:
      return serve_ping(payload, respond);
    case MessageType::admin_tenants_request:
      return serve<AdminTenantsRequest, AdminTenants>(context, requester, payload,
                                                      std::move(respond));
    case MessageType::admin_restart:
      return serve<AdminRestart, AdminDone>(context, requester, payload, std::move(respond));
    case MessageType::admin_reload:
      return serve<AdminReload, AdminDone>(context, requester, payload, std::move(respond));
    case MessageType::admin_logs_request:
      return serve<AdminLogsRequest, AdminLogs>(context, requester, payload, std::move(respond));
    case MessageType::admin_events_request:
      return serve<AdminEventsRequest, AdminEvents>(context, requester, payload,
                                                    std::move(respond));
    case MessageType::admin_posture_request:
      return serve<AdminPostureRequest, AdminPosture>(context, requester, payload,
                                                      std::move(respond));
    case MessageType::admin_daemon_request:
      return serve<AdminDaemonRequest, AdminDaemon>(context, requester, payload,
                                                    std::move(respond));
    case MessageType::admin_verify:
      return serve<AdminVerify, AdminVerification>(context, requester, payload, std::move(respond));
    case MessageType::admin_verifications_request:
      return serve<AdminVerificationsRequest, AdminVerifications>(context, requester, payload,
                                                                  std::move(respond));
    default:
      return fail(ErrorCode::protocol_error, "not a request that control takes");
  }
}

}  // namespace tenantd
