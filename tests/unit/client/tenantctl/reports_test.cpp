#include "client/tenantctl/format/reports.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "shared/protocol/json.h"

using namespace tenantd;

namespace {

// Compares with tests/golden/tenantctl/<name>; TENANTD_ACCEPT_GOLDEN=1 writes it instead.
void check_golden(const std::string& name, const std::string& text) {
  const char* const root = std::getenv("TENANTD_SOURCE");
  REQUIRE_MESSAGE(root != nullptr, "TENANTD_SOURCE does not name the source tree");
  const std::string path = std::string(root) + "/tests/golden/tenantctl/" + name;
  if (std::getenv("TENANTD_ACCEPT_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream expected;
  expected << file.rdbuf();
  INFO("to accept: TENANTD_ACCEPT_GOLDEN=1, file: ", path);
  CHECK(text == expected.str());
}

TenantInfo running_tenant() {
  TenantInfo info;
  info.id = "acme-corp";
  info.name = "ACME \033[31mCorp";
  info.plan = "premium";
  info.isolation_level = "process";
  info.state = "running";
  info.not_enforced = {"budget_limit", "retention_days"};
  info.pid = 4711;
  info.uid = 200'001;
  info.generation = 2;
  info.restarts = 1;
  info.uptime_ms = 3'723'000;
  info.has_memory = true;
  info.memory_bytes = 12U << 20U;
  info.memory_peak_bytes = 20U << 20U;
  info.memory_max_bytes = 128U << 20U;
  info.cpu_usage_us = 1'234'567;
  info.cpu_quota_millicores = 505;
  info.pids_now = 1;
  info.pids_max = 32;
  info.confinement = {"mount_namespace", "seccomp"};
  info.routes = 5;
  info.utterances = 42;
  info.requests = 1000;
  info.errors = 3;
  info.attachments = 2;
  info.throttled_us = 2'500'000;
  info.throttled_periods = 31;
  info.memory_high_events = 4;
  info.has_memory_pressure = true;
  info.memory_pressure = 1234;
  info.oom_deaths = 1;
  info.oom_peak_bytes = 128U << 20U;
  return info;
}

std::vector<TenantInfo> tenants() {
  TenantInfo weak = running_tenant();
  weak.id = "globex";
  weak.missing_confinement = {"landlock", "cgroup_cpu"};
  weak.cpu_quota_millicores = 0;
  weak.has_memory = false;
  weak.store_degraded = true;
  weak.store_reason = "disk full";
  TenantInfo down;
  down.id = "initech";
  down.state = "backoff";
  down.reason = "worker died: signal 9\nevil";
  down.retry_in_ms = 2500;
  TenantInfo refused;
  refused.id = "umbrella";
  refused.state = "refused";
  refused.config_error = "umbrella.toml:3:1: unknown key";
  TenantInfo pooled = running_tenant();
  pooled.id = "hooli";
  pooled.plan = "standard";
  pooled.isolation_level = "logical";
  pooled.worker_id = "tenantd-pool-1";
  return {running_tenant(), weak, down, refused, pooled};
}

AdminDaemon weakened_daemon() {
  AdminDaemon daemon;
  daemon.version = "0.1.0";
  daemon.pid = 99;
  daemon.uptime_ms = 90'061'000;
  daemon.tenants = 4;
  daemon.running = 2;
  daemon.cgroup_mode = "hybrid";
  daemon.cgroup_writer = "libcgroup";
  daemon.missing_confinement = {"landlock"};
  daemon.bonus_confinement = {"landlock: truncating files", "landlock: TCP bind and connect"};
  daemon.pending_removals = 12;
  daemon.set_aside_cpus = "2-5,8";
  daemon.dedicated_cpus = "2-3";
  daemon.cpu_exclusivity = "tenantd";
  daemon.set_aside_memory_bytes = 4ULL << 30U;
  daemon.guaranteed_memory_bytes = 128U << 20U;
  daemon.warning = "the tenants directory is unreadable";
  daemon.verifications = 12;
  daemon.verifications_failed = 1;
  daemon.isolation_violations = 3;
  daemon.last_verification_ms = 1'790'000'000'000;
  return daemon;
}

RouteReply reply() {
  RouteReply out;
  out.best = {"billing", 0.91F, 0.8F, 0.5F, 0.71F};
  out.alternatives = {{"refunds", 0.3F, 0.4F, 0.1F, 0.31F}};
  out.utterance = "Why was I \"charged\"\033[0m twice?";
  out.utterance_similarity = 0.83F;
  out.words = {{"charged", 1.5F}, {"twice", 0.75F}};
  out.also = {{"invoices", 0.62F, 0.6F, 0.2F, 0.48F, 0.5F}};
  out.rules = {{"billing", {RuleKindCode::keyword, RuleModeCode::signal, "charged"}},
               {"refunds", {RuleKindCode::pattern, RuleModeCode::never, "tw\\033[ice"}}};
  return out;
}

}  // namespace

TEST_CASE("the status for people") {
  check_golden("status.txt",
               daemon_text(weakened_daemon(), false) + "\n" + tenants_text(tenants(), false));
  check_golden("tenant.txt", tenant_detail_text(running_tenant(), false));
  TenantInfo platinum = running_tenant();
  platinum.plan = "platinum";
  platinum.isolation_level = "physical";
  platinum.dedicated_cpus = "2-3";
  platinum.cpu_exclusivity = "host";
  platinum.numa_nodes = "0";
  platinum.guaranteed_memory_bytes = 128U << 20U;
  check_golden("tenant-platinum.txt", tenant_detail_text(platinum, false));
  check_golden("tenant-pooled.txt", tenant_detail_text(tenants().back(), false));
  CHECK(tenants_text({}, false) == "no tenants\n");
}

TEST_CASE("the status as JSON") {
  AdminTenants message{tenants(), false};
  check_golden("tenants.json", json_text(to_json(message)));
  check_golden("daemon.json", json_text(to_json(weakened_daemon())));
}

TEST_CASE("a verification, and those before it") {
  AdminVerification report{"acme", "premium (process)", false, 1, 1, 0, {"network.tcp"}, {}};
  report.probes = {
      {"database.data_directory", "database", false, "passed", "mode 0700, uid 1900000001"},
      {"network.tcp", "network", true, "failed", "ended with \033[5mECONNREFUSED"},
      {"process.fork", "process", true, "not promised", "seccomp is tolerated as missing"}};
  check_golden("verification.txt", verification_text(report, false));
  check_golden("verification.json", json_text(to_json(report)));
  const AdminVerification nothing{"acme", "standard (logical)", false, 0, 43, 0, {}, {}};
  CHECK(
      verification_text(nothing, false).starts_with("acme, standard (logical): nothing was shown"));
  const std::vector<PastVerification> past = {
      {7, 1'700'000'000'123, true, "onboarding: 43 passed"},
      {9, 1'700'000'001'000, false, "timer: 42 passed, 1 failed: network.tcp"}};
  check_golden("verifications.txt", verifications_text(past));
  CHECK(verifications_text({}) == "no verification yet\n");
}

TEST_CASE("posture, logs and events") {
  const AdminPosture posture{"acme", false, {"no_new_privs=1", "seccomp=2"}, {"uid=0"}};
  const LogEntry entry{7, 1'700'000'000'123, 3, 9, "say \033[5mhi"};
  const EventInfo died{1, 1'700'000'000'000, "worker_died", "acme", 42, 3, "signal 9"};
  const EventInfo started{2, 1'700'000'001'000, "supervisor_started", "", 0, 0, ""};
  check_golden("posture.txt", posture_text(posture, false));
  check_golden("log.txt", log_entry_text(entry));
  check_golden("events.txt", events_text({died, started}));
  check_golden("events.json", json_text(to_json(AdminEvents{{died, started}})));
}

TEST_CASE("a routed query") {
  check_golden("query.txt", route_reply_text(reply(), 152.6, false));
  check_golden("query.json", json_text(to_json(reply())));
  RouteReply fallback;
  fallback.best.route = "human";
  fallback.is_fallback = true;
  fallback.reason = DecisionReason::below_threshold;
  check_golden("fallback.txt", route_reply_text(fallback, 99, false));
}

TEST_CASE("routes") {
  RouteListing listing;
  listing.route.id = "billing";
  listing.route.description = std::string(80, 'd');
  listing.route.tags = {"money", "self"};
  listing.route.has_threshold = true;
  listing.route.threshold = 0.25F;
  listing.route.metadata = "{\"a\":1}";
  listing.route.priority = 4;
  listing.route.has_margin = true;
  listing.route.margin = 0.1F;
  listing.route.aggregation = 1;
  listing.route.rules = {{RuleKindCode::keyword, RuleModeCode::always, "my bill"}};
  listing.route.utterances = {{"why\033c", {}, {}}, {"", {1.0F}, "x"}};
  listing.utterance_count = 2;
  check_golden("routes.txt", routes_text({listing}));
  check_golden("route.txt", route_detail_text(listing));
}

TEST_CASE("an error is one object, or one line") {
  Error error;
  error.code = ErrorCode::not_found;
  error.message = "no such \033[1mtenant \xff";
  error.tenant = "acme";
  error.hint = "tenantctl tenant list";
  error.retry_after_ms = 5;
  check_golden("error.json", json_text(error_json(error)));
  check_golden("error.txt", error_text(error));
}

TEST_CASE("durations") {
  CHECK(format_duration(999) == "0s");
  CHECK(format_duration(61'000) == "1m 1s");
  CHECK(format_duration(7'260'000) == "2h 1m");
  CHECK(format_duration(std::numeric_limits<std::uint64_t>::max()).find("d ") != std::string::npos);
}
