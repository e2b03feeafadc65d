#include <doctest/doctest.h>

#include "shared/base/clock.h"
#include "tests/unit/control/control_process.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

TenantRecord record_of(const Command& command, std::string_view tenant) {
  auto record = make_link_message<TenantRecord>(7);
  record.command_id = command.command_id;
  record.tenant_id.assign_truncated(tenant);
  record.plan.assign_truncated("premium");
  record.state = TenantState::running;
  record.pid = 4711;
  record.applied_layers = LayerSet::all().bits();
  record.missing_layers = 1U << static_cast<unsigned>(Layer::landlock);
  record.not_enforced.assign_truncated("budget_limit, security.encryption");
  record.worker.routes = 5;
  record.worker.store_state = StoreState::degraded;
  record.worker.store_reason.assign_truncated("disk full");
  return record;
}

AdminTenantsRequest all_tenants() { return {}; }

}  // namespace

TEST_CASE("a tenant list is a command, its records and a translation") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminTenantsRequest{"", "acme"}, 9);
  const auto command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::list_tenants);
  CHECK(command.tenant_id.view() == "acme");
  CHECK(command.page_size <= 64);
  control.send(record_of(command, "globex"));
  control.send(record_of(command, "initech"));
  control.finish(command, ErrorCode{}, "", true);
  const auto tenants = peer.expect<AdminTenants>(9);
  REQUIRE(tenants.tenants.size() == 2);
  CHECK(tenants.more);
  const TenantInfo& info = tenants.tenants[0];
  CHECK(info.id == "globex");
  CHECK(info.state == "running");
  CHECK(info.pid == 4711);
  CHECK(info.routes == 5);
  CHECK(info.not_enforced == std::vector<std::string>{"budget_limit", "security.encryption"});
  CHECK(info.confinement.size() == layer_names.size());
  CHECK(info.missing_confinement == std::vector<std::string>{"landlock"});
  CHECK(info.store_degraded);
  CHECK(info.store_reason == "disk full");
}

TEST_CASE("the fullest page of tenants fits a frame") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(all_tenants(), 1);
  const auto command = control.expect<Command>();
  auto record = record_of(command, std::string(63, 'a'));
  record.name.assign_truncated(std::string(200, 'n'));
  record.reason.assign_truncated(std::string(300, 'r'));
  record.config_error.assign_truncated(std::string(600, 'c'));
  std::string many;
  for (int i = 0; i < 127; ++i) many += "k,";
  record.not_enforced.assign_truncated(many);
  record.missing_layers = LayerSet::all().bits();
  record.worker.store_reason.assign_truncated(std::string(200, 's'));
  for (std::uint32_t i = 0; i < command.page_size + 8; ++i) control.send(record);
  control.finish(command);
  CHECK(peer.expect<AdminTenants>(1).tenants.size() == command.page_size);
}

TEST_CASE("restart, reload and their errors go through") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminRestart{"acme"}, 1);
  auto command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::restart_tenant);
  control.finish(command, ErrorCode{}, "restarting");
  CHECK(peer.expect<AdminDone>(1).message == "restarting");
  peer.request(AdminRestart{"nobody"}, 2);
  control.finish(control.expect<Command>(), ErrorCode::not_found, "no such tenant");
  const Error error = peer.expect<ErrorMessage>(2).to_error();
  CHECK(error.code == ErrorCode::not_found);
  CHECK(error.tenant == "nobody");
  peer.request(AdminReload{false}, 3);
  command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::reload);
  control.finish(command, ErrorCode{}, "2 tenants");
  CHECK(peer.expect<AdminDone>(3).message == "2 tenants");
  peer.request(AdminReload{true}, 4);
  CHECK(control.expect<Command>().verb == CommandVerb::confirm_removal);
}

TEST_CASE("an id that is none never reaches the supervisor") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminRestart{"../etc"}, 1);
  const Error error = peer.expect<ErrorMessage>(1).to_error();
  CHECK(error.code == ErrorCode::invalid_argument);
  CHECK(error.field == "tenant");
  peer.request(AdminPostureRequest{""}, 2);
  CHECK(peer.expect<ErrorMessage>(2).to_error().code == ErrorCode::invalid_argument);
  peer.request(AdminRestart{"acme"}, 3);
  CHECK(control.expect<Command>().tenant_id.view() == "acme");
}

TEST_CASE("posture is split into lines, none is unavailable") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminPostureRequest{"acme"}, 1);
  auto command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::posture);
  auto posture = make_link_message<PostureRecord>(7);
  posture.command_id = command.command_id;
  posture.tenant_id.assign_truncated("acme");
  posture.facts.assign_truncated("no_new_privs=1\nseccomp=2\n");
  posture.deviations.assign_truncated("uid=0");
  control.send(posture);
  control.finish(command);
  const auto answer = peer.expect<AdminPosture>(1);
  CHECK(answer.facts == std::vector<std::string>{"no_new_privs=1", "seccomp=2"});
  CHECK(answer.deviations == std::vector<std::string>{"uid=0"});
  CHECK_FALSE(answer.as_expected);
  peer.request(AdminPostureRequest{"acme"}, 2);
  command = control.expect<Command>();
  control.finish(command);
  CHECK(peer.expect<ErrorMessage>(2).to_error().code == ErrorCode::unavailable);
}

TEST_CASE("a verification is asked for by its checks and counted by its outcomes") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminVerify{"acme", {"cache", "network_isolation"}}, 1);
  auto command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::verify);
  CHECK(command.checks == (mask_of(IsolationCheck::cache) | mask_of(IsolationCheck::network)));
  auto probe = make_link_message<VerifyProbeRecord>(7);
  probe.command_id = command.command_id;
  probe.name.assign_truncated("network.tcp");
  probe.check = IsolationCheck::network;
  probe.inside = 1;
  probe.evidence.assign_truncated("ECONNREFUSED");
  const auto send = [&](ProbeOutcome outcome) {
    probe.outcome = outcome;
    control.send(probe);
  };
  send(ProbeOutcome::passed);
  send(ProbeOutcome::failed);
  send(ProbeOutcome::not_promised);
  send(static_cast<ProbeOutcome>(99));
  control.finish(command, ErrorCode{}, "premium (process)");
  const auto answer = peer.expect<AdminVerification>(1);
  CHECK(answer.plan == "premium (process)");
  CHECK_FALSE(answer.all_passed);
  CHECK(answer.passed == 1);
  CHECK(answer.not_promised == 1);
  CHECK(answer.failures == std::vector<std::string>{"network.tcp"});
  REQUIRE(answer.probes.size() == 4);
  CHECK(answer.probes[1].evidence == "ECONNREFUSED");
  CHECK(answer.probes[1].inside);
  CHECK(answer.probes[3].outcome == "unknown");
  peer.request(AdminVerify{"acme", {"magic"}}, 2);
  CHECK(peer.expect<ErrorMessage>(2).to_error().field == "checks");
  peer.request(AdminVerify{"acme", {}}, 3);
  command = control.expect<Command>();
  CHECK(command.checks == all_checks);
  control.finish(command);
  CHECK_FALSE(peer.expect<AdminVerification>(3).all_passed);  // nothing was shown
}

TEST_CASE("the daemon's counters come through") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminDaemonRequest{}, 1);
  const auto command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::daemon_status);
  auto done = make_link_message<CommandDone>(7);
  done.command_id = command.command_id;
  done.daemon.tenants = 3;
  done.daemon.hellos_denied = 11;
  done.daemon.cgroup_mode = 2;
  done.daemon.cgroup_writer.assign_truncated("libcgroup");
  done.daemon.set_aside_cpus.assign_truncated("2-5");
  done.daemon.cpu_partition = 1;
  done.daemon.guaranteed_memory_bytes = 5;
  done.daemon.missing_layers = 1U << static_cast<unsigned>(Layer::seccomp);
  done.daemon.version.assign_truncated("1.2.3");
  control.send(done);
  const auto daemon = peer.expect<AdminDaemon>(1);
  CHECK(daemon.tenants == 3);
  CHECK(daemon.hellos_denied == 11);
  CHECK(daemon.cgroup_mode == "hybrid");
  CHECK(daemon.cgroup_writer == "libcgroup");
  CHECK(daemon.set_aside_cpus == "2-5");
  CHECK(daemon.cpu_exclusivity == "host");
  CHECK(daemon.guaranteed_memory_bytes == 5);
  CHECK(daemon.missing_confinement == std::vector<std::string>{"seccomp"});
  CHECK(daemon.version == "1.2.3");
  CHECK(daemon.warning.empty());
}

TEST_CASE("log lines are kept in order, bounded, and can be followed without a gap") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  for (int i = 0; i < 300; ++i) control.send_log("acme", "line " + std::to_string(i));
  control.send_log("globex", "other");
  control.settle();
  peer.request(AdminLogsRequest{"acme", 2, 0}, 1);
  auto logs = peer.expect<AdminLogs>(1);
  REQUIRE(logs.entries.size() == 2);
  CHECK(logs.entries[1].text == "line 299");
  CHECK(logs.entries[0].sequence < logs.entries[1].sequence);
  peer.request(AdminLogsRequest{"acme", 1000, 0}, 2);
  logs = peer.expect<AdminLogs>(2);
  REQUIRE(logs.entries.size() == 256);
  CHECK(logs.entries[0].text == "line 44");
  peer.request(AdminLogsRequest{"acme", 10, logs.entries[0].sequence}, 3);
  logs = peer.expect<AdminLogs>(3);
  REQUIRE(logs.entries.size() == 10);
  CHECK(logs.entries[0].text == "line 45");
}

TEST_CASE("the longest log fits a frame, in pieces for a follower") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  for (int i = 0; i < 256; ++i) control.send_log("acme", std::string(511, 'x'));
  control.settle();
  std::uint64_t after = 0;
  peer.request(AdminLogsRequest{"acme", 256, 0}, 1);
  const auto newest = peer.expect<AdminLogs>(1);
  CHECK(newest.entries.size() > 128);
  std::size_t seen = 1;
  after = newest.entries.back().sequence - 255;  // the first that is kept
  for (std::uint64_t id = 2;; ++id) {
    peer.request(AdminLogsRequest{"acme", 256, after}, id);
    const auto piece = peer.expect<AdminLogs>(id);
    if (piece.entries.empty()) break;
    seen += piece.entries.size();
    after = piece.entries.back().sequence;
  }
  CHECK(seen == 256);
}

TEST_CASE("logs of a silent tenant are empty, of an unknown one not found") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminLogsRequest{"quiet", 5, 0}, 1);
  auto command = control.expect<Command>();
  CHECK(command.verb == CommandVerb::show_tenant);
  control.finish(command);
  CHECK(peer.expect<AdminLogs>(1).entries.empty());
  peer.request(AdminLogsRequest{"nobody", 5, 0}, 2);
  control.finish(control.expect<Command>(), ErrorCode::not_found, "no such tenant");
  CHECK(peer.expect<ErrorMessage>(2).to_error().code == ErrorCode::not_found);
}

TEST_CASE("a supervisor that does not answer is unavailable, and its late answer harmless") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  const std::uint64_t start_ns = monotonic_ns();
  peer.request(AdminRestart{"acme"}, 1);
  const auto command = control.expect<Command>();
  const Error error = peer.expect<ErrorMessage>(1).to_error();
  CHECK(error.code == ErrorCode::unavailable);
  CHECK(error.retry_after_ms > 0);
  CHECK(monotonic_ns() - start_ns >= 1'900'000'000);
  control.finish(command, ErrorCode{}, "too late");
  Command unknown = command;
  unknown.command_id = 999'999;
  control.finish(unknown);
  peer.request(AdminRestart{"acme"}, 2);
  control.finish(control.expect<Command>(), ErrorCode{}, "in time");
  CHECK(peer.expect<AdminDone>(2).message == "in time");
}
