// What operators and control say to each other about the isolation verifier.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/protocol/messages.h"

namespace tenantd {

// Runs every probe of one tenant. May take seconds: tenants are verified one after another.
struct AdminVerify {
  static constexpr MessageType type = MessageType::admin_verify;
  std::string tenant;
  std::vector<std::string> checks;  // "database" or "database_isolation", ...; empty: all

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
    visit("checks", self.checks, Bound{8});
  }
};

struct VerifyProbe {
  std::string name;      // "network.tcp"
  std::string check;     // database, cache, network, process, resource
  bool inside = false;   // tried by a process confined as the tenant's worker; else looked at
  std::string outcome;   // passed, failed, not promised, not applicable
  std::string evidence;  // what the kernel said

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("name", self.name, Bound{48});
    visit("check", self.check, Bound{16});
    visit("inside", self.inside);
    visit("outcome", self.outcome, Bound{16});
    visit("evidence", self.evidence, Bound{200});
  }
};

struct AdminVerification {
  static constexpr MessageType type = MessageType::admin_verification;
  std::string tenant;
  std::string plan;          // "premium (process)": what the promises are read from
  bool all_passed = false;   // none failed, and some have passed: what shows nothing passes nothing
  std::uint32_t passed = 0;  // probes
  std::uint32_t not_promised = 0;
  std::uint32_t not_applicable = 0;
  std::vector<std::string> failures;  // names of the probes that failed
  std::vector<VerifyProbe> probes;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
    visit("plan", self.plan, Bound{64});
    visit("all_passed", self.all_passed);
    visit("passed", self.passed);
    visit("not_promised", self.not_promised);
    visit("not_applicable", self.not_applicable);
    visit("failures", self.failures, Bound{64});
    visit("probes", self.probes, Bound{64});
  }
};

// Verifications in the ledger, whoever asked for them.
struct AdminVerificationsRequest {
  static constexpr MessageType type = MessageType::admin_verifications_request;
  std::string tenant;
  std::uint32_t limit = 50;  // the newest, ≤ 256

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("tenant", self.tenant, Bound{63});
    visit("limit", self.limit);
  }
};

struct PastVerification {
  std::uint64_t sequence = 0;
  std::int64_t time_ms = 0;  // UTC since the epoch
  bool all_passed = false;
  std::string detail;  // why it ran, counts, the probes that failed

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("sequence", self.sequence);
    visit("time_ms", self.time_ms);
    visit("all_passed", self.all_passed);
    visit("detail", self.detail, Bound{512});
  }
};

struct AdminVerifications {
  static constexpr MessageType type = MessageType::admin_verifications;
  std::vector<PastVerification> verifications;

  template <class Self, class Visitor>
  static void describe(Self& self, Visitor& visit) {
    visit("verifications", self.verifications, Bound{256});
  }
};

}  // namespace tenantd
