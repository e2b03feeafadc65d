#include "client/target.h"

#include <strings.h>

#include <utility>

#include "shared/base/tenant_id.h"

namespace tenantd::client {

Result<Target> tenant_target(std::string_view tenant, ConnectOptions options) {
  Target target;
  target.token = Secret(options.token);
  ::explicit_bzero(options.token.data(), options.token.size());
  const auto id = TenantId::parse(tenant);
  if (!id) return tl::unexpected(id.error());
  target.socket_path = std::move(options.socket_path);
  target.kind = HelloTarget::tenant;
  target.tenant = id->str();
  target.transport = options.transport;
  return target;
}

Status check_token(const Secret& token) {
  const std::size_t size = token.bytes().size();
  if (size == 0 || (size >= Hello::token_min_bytes && size <= Hello::token_max_bytes)) return {};
  Error error;
  error.code = ErrorCode::invalid_argument;
  error.field = "token";
  error.message = "a token has 16 to 64 bytes";
  return fail(std::move(error));
}

}  // namespace tenantd::client
