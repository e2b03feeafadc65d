// Operations: the isolation of one tenant, verified now; and what earlier verifications found, from
// the ledger. A removed tenant's history is still there.
#include <algorithm>
#include <utility>

#include "control/admin/operation.h"
#include "control/admin/records.h"

namespace tenantd {
namespace {

// "database", or "database_isolation" as the specification has it.
Result<CheckMask> mask_of_names(const std::vector<std::string>& names) {
  static constexpr std::string_view long_ending = "_isolation";
  CheckMask mask = 0;
  for (std::string_view name : names) {
    if (name.ends_with(long_ending)) name.remove_suffix(long_ending.size());
    const auto found = std::find(isolation_check_names.begin(), isolation_check_names.end(), name);
    if (found == isolation_check_names.end()) {
      Error error = fail_field("checks", "no such check: " + std::string(name)).value();
      error.hint = "database, cache, network, process or resource";
      return fail(std::move(error));
    }
    mask |= mask_of(static_cast<IsolationCheck>(found - isolation_check_names.begin()));
  }
  return mask == 0 ? all_checks : mask;
}

AdminVerification verification_of(const std::string& tenant, const SupervisorLink::Answer& answer) {
  AdminVerification out;
  out.tenant = tenant;
  out.plan = answer.done.message.view().substr(0, 64);
  for (const VerifyProbeRecord& record : answer.probes) {
    out.passed += record.outcome == ProbeOutcome::passed ? 1 : 0;
    out.not_promised += record.outcome == ProbeOutcome::not_promised ? 1 : 0;
    out.not_applicable += record.outcome == ProbeOutcome::not_applicable ? 1 : 0;
    out.probes.push_back(probe_of(record));
    if (record.outcome == ProbeOutcome::failed) out.failures.push_back(out.probes.back().name);
  }
  out.all_passed = out.failures.empty() && out.passed > 0;
  return out;
}

}  // namespace

void run_operation(const AdminContext& context, const Requester& requester,
                   const AdminVerify& request, Reply<AdminVerification> reply) {
  const Status valid = check_tenant(request.tenant, "tenant");
  if (!valid) return reply(tl::unexpected(valid.error()));
  const auto checks = mask_of_names(request.checks);
  if (!checks) return reply(tl::unexpected(checks.error()));
  context.link.ask(
      CommandVerb::verify, request.tenant, requester.uid,
      [reply = std::move(reply), tenant = request.tenant](Result<SupervisorLink::Answer> answer) {
        if (!answer) return reply(about_tenant(answer.error(), tenant));
        reply(verification_of(tenant, *answer));
      },
      *checks);
}

void run_operation(const AdminContext& context, const Requester&,
                   const AdminVerificationsRequest& request, Reply<AdminVerifications> reply) {
  const Status valid = check_tenant(request.tenant, "tenant");
  if (!valid) return reply(tl::unexpected(valid.error()));
  const auto limit = std::min<std::uint32_t>(request.limit, 256);
  AdminVerifications out;
  for (const EventInfo& event : context.ledger.verifications(request.tenant, limit)) {
    PastVerification& past = out.verifications.emplace_back();
    past.sequence = event.sequence;
    past.time_ms = event.time_ms;
    past.all_passed = event.event == event_type_name(EventType::isolation_verified);
    past.detail = event.detail;
  }
  reply(std::move(out));
}

}  // namespace tenantd
