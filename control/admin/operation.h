// The operations of administration. One file each; this header is the list.
//
// Runs in: control. The requester was identified by the supervisor and is an operator; what it asks
// for is checked here. An operation answers once through `reply`, now or when the supervisor has
// answered.
#pragma once

#include <functional>
#include <string_view>

#include "control/ledger/ledger.h"
#include "control/link/supervisor_link.h"
#include "control/logbook/logbook.h"
#include "shared/base/tenant_id.h"
#include "shared/protocol/admin_messages.h"

namespace tenantd {

struct AdminContext {
  SupervisorLink& link;
  Ledger& ledger;
  LogBook& logbook;
};

struct Requester {
  std::uint32_t uid = 0;
};

template <class Answer>
using Reply = std::function<void(Result<Answer>)>;

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminTenantsRequest& request, Reply<AdminTenants> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminRestart& request, Reply<AdminDone> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminReload& request, Reply<AdminDone> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminLogsRequest& request, Reply<AdminLogs> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminEventsRequest& request, Reply<AdminEvents> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminPostureRequest& request, Reply<AdminPosture> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminDaemonRequest& request, Reply<AdminDaemon> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminVerify& request, Reply<AdminVerification> reply);
void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminVerificationsRequest& request, Reply<AdminVerifications> reply);

// Error: invalid_argument naming the field when `tenant` is no valid id.
[[nodiscard]] Status check_tenant(std::string_view tenant, const char* field);
// The error with the tenant's id in it.
[[nodiscard]] tl::unexpected<Error> about_tenant(Error error, std::string_view tenant);

}  // namespace tenantd
