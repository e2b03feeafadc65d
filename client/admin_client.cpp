// The admin client: one session with control, one call an operation.
//
// Runs in: the caller's process. Trusts nothing that control sends: every answer is decoded with
// its bounds.
#include <strings.h>

#include "client/guard.h"
#include "client/session.h"
#include "tenantd/client.h"

namespace tenantd {

using client::Session;
using client::without_exceptions;

AdminClient::AdminClient(std::unique_ptr<Session> session) noexcept
    : session_(std::move(session)) {}
AdminClient::AdminClient(AdminClient&&) noexcept = default;
AdminClient& AdminClient::operator=(AdminClient&&) noexcept = default;
AdminClient::~AdminClient() = default;

Result<AdminClient> AdminClient::open(ConnectOptions options) {
  return without_exceptions([&]() -> Result<AdminClient> {
    client::Target target;
    target.token = client::Secret(options.token);
    ::explicit_bzero(options.token.data(), options.token.size());
    target.socket_path = std::move(options.socket_path);
    target.kind = HelloTarget::control;
    target.transport = Transport::stream;
    auto session = Session::open(std::move(target), options.timeout_ms);
    if (!session) return tl::unexpected(session.error());
    return AdminClient(std::move(*session));
  });
}

Result<AdminTenants> AdminClient::tenants(const AdminTenantsRequest& request) {
  return without_exceptions([&] { return session_->call<AdminTenants>(request); });
}

Result<AdminDone> AdminClient::restart(std::string_view tenant) {
  return without_exceptions([&] {
    AdminRestart request;
    request.tenant = tenant;
    return session_->call<AdminDone>(request);
  });
}

Result<AdminDone> AdminClient::reload(bool confirm_removal) {
  return without_exceptions([&] {
    AdminReload request;
    request.confirm_removal = confirm_removal;
    return session_->call<AdminDone>(request);
  });
}

Result<AdminLogs> AdminClient::logs(const AdminLogsRequest& request) {
  return without_exceptions([&] { return session_->call<AdminLogs>(request); });
}

Result<AdminEvents> AdminClient::events(const AdminEventsRequest& request) {
  return without_exceptions([&] { return session_->call<AdminEvents>(request); });
}

Result<AdminPosture> AdminClient::posture(std::string_view tenant) {
  return without_exceptions([&] {
    AdminPostureRequest request;
    request.tenant = tenant;
    return session_->call<AdminPosture>(request);
  });
}

Result<AdminDaemon> AdminClient::daemon() {
  return without_exceptions([&] { return session_->call<AdminDaemon>(AdminDaemonRequest{}); });
}

Result<AdminVerification> AdminClient::verify(const AdminVerify& request) {
  return without_exceptions([&] { return session_->call<AdminVerification>(request); });
}

Result<AdminVerifications> AdminClient::verifications(const AdminVerificationsRequest& request) {
  return without_exceptions([&] { return session_->call<AdminVerifications>(request); });
}

}  // namespace tenantd
