#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "shared/database/sqlite.h"
#include "tests/unit/control/control_process.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

std::vector<EventInfo> events_of(ControlProcess& control, const Operator& peer, std::uint64_t id,
                                 std::string tenant = "", std::uint32_t limit = 256,
                                 std::uint64_t after = 0) {
  control.settle();
  peer.request(AdminEventsRequest{std::move(tenant), limit, after}, id);
  return peer.expect<AdminEvents>(id).events;
}

std::string warning_of(ControlProcess& control, const Operator& peer, std::uint64_t id) {
  peer.request(AdminDaemonRequest{}, id);
  control.finish(control.expect<Command>());
  return peer.expect<AdminDaemon>(id).warning;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("verifications of a tenant are found among its other events") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  control.send_event(EventType::isolation_verified, "acme", "onboarding: all well");
  for (int i = 0; i < 20; ++i) control.send_event(EventType::worker_started, "acme", "");
  control.send_event(EventType::isolation_violated, "acme", "timer: network.tcp");
  control.send_event(EventType::isolation_verified, "globex", "timer: all well");
  control.settle();
  peer.request(AdminVerificationsRequest{"acme", 10}, 1);
  const auto past = peer.expect<AdminVerifications>(1).verifications;
  REQUIRE(past.size() == 2);
  CHECK(past[0].all_passed);
  CHECK(past[0].detail == "onboarding: all well");
  CHECK_FALSE(past[1].all_passed);
  CHECK(past[1].sequence > past[0].sequence + 20);
  peer.request(AdminVerificationsRequest{"acme", 1}, 2);
  CHECK(peer.expect<AdminVerifications>(2).verifications.at(0).detail == "timer: network.tcp");
  peer.request(AdminVerificationsRequest{"", 1}, 3);
  CHECK(peer.expect<ErrorMessage>(3).to_error().code == ErrorCode::invalid_argument);
}

TEST_CASE("a tenant's events past its retention are deleted, and that is an event") {
  const TemporaryDirectory data;
  ControlProcess control(data.path(), {"--first-sweep-ms", "500"});
  const Operator peer = control.attach();
  for (const char* tenant : {"acme", "acme", "forever", "gone"}) {
    control.send_event(EventType::worker_started, tenant, "");  // of 2023
  }
  const auto answer = [&control](std::string_view tenant, std::uint32_t days) {
    const auto asked = control.expect<Command>();
    CHECK(asked.verb == CommandVerb::show_tenant);
    CHECK(asked.tenant_id.view() == tenant);
    auto record = make_link_message<TenantRecord>(7);
    record.command_id = asked.command_id;
    (void)record.tenant_id.assign(tenant);
    record.retention_days = days;
    control.send(record);
    control.finish(asked);
  };
  answer("acme", 30);
  answer("forever", 0);
  control.finish(control.expect<Command>(), ErrorCode::not_found, "no such tenant");
  const auto left = events_of(control, peer, 1, "acme");
  REQUIRE(left.size() == 1);
  CHECK(left[0].event == "records_deleted");
  CHECK(left[0].detail.starts_with("2 events of 2023-11-14T22:13:20.000Z"));
  CHECK(events_of(control, peer, 2, "forever").size() == 1);
  CHECK(events_of(control, peer, 3, "gone").size() == 1);
}

TEST_CASE("events are kept in order, by tenant, and over a restart") {
  const TemporaryDirectory data;
  {
    ControlProcess control(data.path());
    const Operator peer = control.attach();
    control.send_event(EventType::worker_started, "acme", "generation 1");
    control.send_event(EventType::worker_died, "globex", "signal 9");
    const auto events = events_of(control, peer, 1);
    REQUIRE(events.size() == 2);
    CHECK(events[0].event == "worker_started");
    CHECK(events[1].tenant == "globex");
    CHECK(events[1].detail == "signal 9");
    CHECK(events[1].pid == 42);
    CHECK(events_of(control, peer, 2, "acme").size() == 1);
    control.kill_now();
  }
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  control.send_event(EventType::config_applied, "acme", "threshold");
  const auto events = events_of(control, peer, 1);
  REQUIRE(events.size() == 3);
  CHECK(events[2].sequence == events[1].sequence + 1);
  const auto after = events_of(control, peer, 2, "", 1, events[0].sequence);
  REQUIRE(after.size() == 1);
  CHECK(after[0].event == "worker_died");
  CHECK(events_of(control, peer, 3, "acme", 1)[0].event == "config_applied");
  CHECK(warning_of(control, peer, 4).empty());
}

TEST_CASE("what was sent before the link ended is on disk") {
  const TemporaryDirectory data;
  {
    ControlProcess control(data.path());
    for (int i = 0; i < 500; ++i) control.send_event(EventType::worker_ready, "acme", "x");
    control.close_link();
    CHECK(control.wait_exit() == 0);
  }
  ControlProcess control(data.path());
  const auto events = events_of(control, control.attach(), 1);
  REQUIRE(events.size() == 256);
  CHECK(events.back().sequence == 500);
}

TEST_CASE("a storm of events is written in batches and stays within its bound") {
  const TemporaryDirectory data;
  ControlProcess control(data.path(), {"--ledger-rows", "1000"});
  for (int i = 0; i < 20'000; ++i) control.send_event(EventType::worker_died, "acme", "storm");
  const Operator peer = control.attach();
  const auto newest = events_of(control, peer, 1);
  CHECK(newest.back().sequence == 20'000);
  const auto oldest = events_of(control, peer, 2, "", 1, 1);
  CHECK(oldest.at(0).sequence == 19'001);
  control.terminate();
  CHECK(control.wait_exit() == 0);
  auto database = Database::open(data.path() + "/ledger.db", Database::Mode::open_existing);
  REQUIRE(database.has_value());
  CHECK(database->query_integer("SELECT count(*) FROM events").value() == 1000);
}

TEST_CASE("a corrupt ledger degrades: said, served from memory, left as it is") {
  const TemporaryDirectory data;
  const std::string garbage(40'000, 'z');
  write_file(data.path() + "/ledger.db", garbage);
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  control.send_event(EventType::worker_started, "acme", "still served");
  const auto events = events_of(control, peer, 1);
  REQUIRE(events.size() == 1);
  CHECK(events[0].detail == "still served");
  CHECK(warning_of(control, peer, 2).find("event history is not being kept") != std::string::npos);
  control.terminate();
  CHECK(control.wait_exit() == 0);
  CHECK(std::filesystem::file_size(data.path() + "/ledger.db") == garbage.size());
}

TEST_CASE("damage in the middle of a good ledger degrades it") {
  const TemporaryDirectory data;
  {
    ControlProcess control(data.path());
    for (int i = 0; i < 2000; ++i) control.send_event(EventType::worker_ready, "acme", "y");
    control.terminate();
    CHECK(control.wait_exit() == 0);
  }
  std::fstream file(data.path() + "/ledger.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(8192);
  file << std::string(8192 * 20, '\xff');
  file.close();
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  for (int i = 0; i < 300; ++i) control.send_event(EventType::worker_died, "acme", "z");
  CHECK(events_of(control, peer, 1).back().detail == "z");
  CHECK_FALSE(warning_of(control, peer, 2).empty());
  CHECK(control.alive());
}

TEST_CASE("a ledger of a newer version is refused and untouched") {
  const TemporaryDirectory data;
  {
    ControlProcess control(data.path());
    control.terminate();
    CHECK(control.wait_exit() == 0);
    auto database = Database::open(data.path() + "/ledger.db", Database::Mode::open_existing);
    REQUIRE(database->execute("PRAGMA user_version = 99").has_value());
  }
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  CHECK(warning_of(control, peer, 1).find("newer version") != std::string::npos);
}

TEST_CASE("a missing directory degrades; once it is there, what happened is written") {
  const TemporaryDirectory data;
  const std::string place = data.path() + "/later";
  {
    ControlProcess control(place);
    const Operator peer = control.attach();
    control.send_event(EventType::worker_started, "acme", "early");
    CHECK_FALSE(warning_of(control, peer, 1).empty());
    std::filesystem::create_directory(place);
    for (std::uint64_t id = 2; !warning_of(control, peer, id).empty(); ++id) {
      control.send_event(EventType::worker_ready, "acme", "meanwhile");
    }
    CHECK(events_of(control, peer, 1'000'000, "", 1, 0).size() == 1);
    control.kill_now();
  }
  ControlProcess control(place);
  const auto events = events_of(control, control.attach(), 1, "", 256, 0);
  CHECK(events.at(0).tenant == "acme");
}
