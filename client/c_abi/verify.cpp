// The C ABI's one administrative call: the isolation verifier (tenantd.h says what it does).
//
// Runs in: client library, for callers in C and in languages that call C. Trusts its caller's
// pointers; lets no exception out.
#include <memory>

#include "client/c_abi/convert.h"

using namespace tenantd;
using namespace tenantd::client;

struct tenantd_verification {
  AdminVerification report;
  std::vector<tenantd_verify_probe> probes;
};

int tenantd_verify(const tenantd_options* options, const char* tenant, const char* const* checks,
                   size_t checks_size, tenantd_verification** report, tenantd_error** error) {
  if (tenant == nullptr) return report_no_tenant(error);
  return guarded(error, [&]() -> Status {
    const auto known = options_of(options);
    if (!known) return tl::unexpected(known.error());
    auto admin = AdminClient::open(connect_options(*known));
    if (!admin) return tl::unexpected(admin.error());
    AdminVerify request;
    request.tenant = tenant;
    for (std::size_t i = 0; i < checks_size; ++i) request.checks.emplace_back(text_of(checks[i]));
    auto answer = admin->verify(request);
    if (!answer) return tl::unexpected(answer.error());
    auto made = std::make_unique<tenantd_verification>();
    made->report = std::move(*answer);
    for (const VerifyProbe& probe : made->report.probes) {
      made->probes.push_back({probe.name.c_str(), probe.check.c_str(), probe.outcome.c_str(),
                              probe.evidence.c_str(), probe.inside ? 1U : 0U,
                              probe.outcome == "failed" ? 1U : 0U});
    }
    *report = made.release();
    return {};
  });
}

int tenantd_verification_all_passed(const tenantd_verification* report) {
  return report != nullptr && report->report.all_passed ? 1 : 0;
}

const char* tenantd_verification_plan(const tenantd_verification* report) {
  return report == nullptr ? nullptr : report->report.plan.c_str();
}

size_t tenantd_verification_probes(const tenantd_verification* report,
                                   const tenantd_verify_probe** probes) {
  if (report == nullptr) return 0;
  *probes = report->probes.data();
  return report->probes.size();
}

void tenantd_verification_free(tenantd_verification* report) { delete report; }
