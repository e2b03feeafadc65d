#include "worker/handlers/route_handler.h"

#include <utility>

#include "worker/encoder/unicode.h"
#include "worker/handlers/translate.h"
#include "worker/router/tenant_router.h"

namespace tenantd {
namespace {

bool is_printable(std::string_view text) noexcept {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return false;
  }
  return is_valid_utf8(text);
}

tl::unexpected<Error> invalid(const char* field, const char* message) {
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = field;
  error.message = message;
  return fail(std::move(error));
}

}  // namespace

Status check_attributes(const RouteRequest& request) {
  constexpr const char* unprintable = "must be printable UTF-8";
  if (!is_printable(request.user)) return invalid("user", unprintable);
  if (!is_printable(request.department)) return invalid("department", unprintable);
  for (const Label& label : request.labels) {
    if (label.key.empty()) return invalid("labels", "a label needs a key");
    if (!is_printable(label.key) || !is_printable(label.value))
      return invalid("labels", unprintable);
  }
  return {};
}

Result<RouteReply> handle_route(HandlerServices& services, const ExecutionContext& context,
                                const RouteRequest& request) {
  if (request.alternatives > max_alternatives_per_reply) {
    return invalid("alternatives", "at most 64");
  }
  if (services.router == nullptr) return fail(store_degraded_error(services.store));
  auto decision = services.router->route(context, to_query(request));
  if (!decision) return tl::unexpected(std::move(decision.error()));
  return to_reply(std::move(*decision));
}

}  // namespace tenantd
