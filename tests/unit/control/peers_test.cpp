#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include "shared/base/clock.h"
#include "tests/unit/control/control_process.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

// The peer gets one error of that code and the end; control lives and serves others.
void check_refused(ControlProcess& control, const Operator& peer,
                   ErrorCode code = ErrorCode::protocol_error) {
  const auto frame = peer.receive();
  REQUIRE(frame.has_value());
  CHECK(frame->header.type == static_cast<std::uint16_t>(MessageType::error));
  CHECK(decode<ErrorMessage>(frame->payload).value().to_error().code == code);
  CHECK(peer.at_end());
  const Operator other = control.attach();
  other.request(Ping{}, 77);
  (void)other.expect<Pong>(77);
  REQUIRE(::shutdown(other.fd(), SHUT_WR) == 0);
  CHECK(other.at_end());  // its place is free again
}

std::uint16_t number(MessageType type) { return static_cast<std::uint16_t>(type); }

}  // namespace

TEST_CASE("the welcome comes first and ping is answered") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach_raw();
  const auto welcome = peer.expect<Welcome>(0);
  CHECK(welcome.version == 1);
  CHECK(welcome.generation == 7);
  CHECK(welcome.ring_bytes == 0);
  peer.request(Ping{}, 5);
  (void)peer.expect<Pong>(5);
}

TEST_CASE("who is no operator is refused") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  for (const std::uint32_t not_one : {0U, 2U}) {
    check_refused(control, control.attach_raw(1000, not_one), ErrorCode::permission_denied);
  }
}

TEST_CASE("malformed frames cost only their connection") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  SUBCASE("longer than a request may be") {
    const Operator peer = control.attach();
    peer.send_header(5000, number(MessageType::admin_daemon_request), 1);
    check_refused(control, peer);
  }
  SUBCASE("as long as a number can be") {
    const Operator peer = control.attach();
    peer.send_header(0xffffffff, number(MessageType::admin_daemon_request), 1);
    check_refused(control, peer);
  }
  SUBCASE("unknown flags") {
    const Operator peer = control.attach();
    peer.send_header(0, number(MessageType::ping), 1, attempt_mask + 1);
    check_refused(control, peer);
  }
  SUBCASE("no request id") {
    const Operator peer = control.attach();
    peer.send_header(0, number(MessageType::ping), 0);
    check_refused(control, peer);
  }
  SUBCASE("an unknown type") {
    const Operator peer = control.attach();
    peer.send_header(0, 9999, 1);
    check_refused(control, peer);
  }
  SUBCASE("types that clients do not send to control") {
    for (const MessageRule& rule : message_rules) {
      if (rule.sender == Sender::client || rule.sender == Sender::client_to_control) continue;
      const Operator peer = control.attach();
      peer.send_header(0, number(rule.type), 1);
      check_refused(control, peer);
    }
  }
  SUBCASE("a payload cut short, and one with bytes left over") {
    for (const std::uint32_t size : {3U, 100U}) {
      const Operator peer = control.attach();
      peer.send_header(size, number(MessageType::admin_restart), 1);
      peer.send_bytes(std::vector<std::byte>(size, std::byte{0}));
      check_refused(control, peer);
    }
  }
  SUBCASE("a string longer than its bound") {
    const Operator peer = control.attach();
    const std::uint32_t count = 64;
    peer.send_header(4 + count, number(MessageType::admin_restart), 1);
    peer.send_bytes(std::as_bytes(std::span(&count, 1)));
    peer.send_bytes(std::vector<std::byte>(count, std::byte{'a'}));
    check_refused(control, peer);
  }
  CHECK(control.alive());
}

TEST_CASE("a frame that is not finished in time ends its connection, an idle one stays") {
  const TemporaryDirectory data;
  ControlProcess control(data.path(), {"--frame-timeout-ms", "100"});
  const Operator idle = control.attach();
  for (const bool whole_header : {false, true}) {
    const Operator peer = control.attach();
    if (whole_header) {
      peer.send_header(50, number(MessageType::admin_restart), 1);
    } else {
      peer.send_bytes(std::vector<std::byte>(10, std::byte{1}));
    }
    check_refused(control, peer, ErrorCode::deadline_exceeded);
  }
  idle.request(Ping{}, 1);
  (void)idle.expect<Pong>(1);
}

TEST_CASE("a frame in single bytes is a frame") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  const FrameHeader header{0, number(MessageType::ping), 0, 3, 0};
  for (const std::byte& byte : std::as_bytes(std::span(&header, 1))) {
    peer.send_bytes(std::span(&byte, 1));
  }
  (void)peer.expect<Pong>(3);
}

TEST_CASE("a late request is answered, not run") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  peer.request(AdminRestart{"late"}, 1, 1);
  CHECK(peer.expect<ErrorMessage>(1).to_error().code == ErrorCode::deadline_exceeded);
  peer.request(AdminRestart{"timely"}, 2, monotonic_ns() + 10'000'000'000);
  CHECK(control.expect<Command>().tenant_id.view() == "timely");
}

TEST_CASE("a flood of requests is answered in order, all of them, with few commands at a time") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  constexpr std::uint64_t requests = 2000;
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  for (; sent < 500; ++sent) peer.request(Ping{}, sent + 1);
  for (; answered < 500; ++answered) (void)peer.expect<Pong>(answered + 1);
  // Commands that wait for the supervisor: no more than a connection may have in flight.
  for (; sent < requests; ++sent) {
    pollfd poll_fd{peer.fd(), POLLOUT, 0};
    if (::poll(&poll_fd, 1, 0) != 1) break;
    peer.request(AdminRestart{"acme"}, sent + 1);
  }
  while (answered < sent) {
    control.finish(control.expect<Command>(), ErrorCode{}, "ok");
    (void)peer.expect<AdminDone>(++answered);
  }
  CHECK(answered == sent);
}

TEST_CASE("a peer that does not read is bounded; others are served, and nothing is lost") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  for (int i = 0; i < 256; ++i) control.send_log("acme", std::string(500, 'x'));
  control.settle();
  const Operator slow = control.attach();
  std::uint64_t asked = 0;
  for (;; ++asked) {  // until the pipe is full: control has stopped reading
    pollfd poll_fd{slow.fd(), POLLOUT, 0};
    if (::poll(&poll_fd, 1, 100) != 1) break;
    slow.request(AdminLogsRequest{"acme", 256, 0}, asked + 1);
    REQUIRE(asked < 1'000'000);
  }
  const Operator other = control.attach();
  other.request(AdminLogsRequest{"acme", 1, 0}, 1);
  CHECK(other.expect<AdminLogs>(1).entries.size() == 1);
  for (std::uint64_t id = 1; id <= 50; ++id) (void)slow.expect<AdminLogs>(id);
  CHECK(control.alive());
}

TEST_CASE("connections are bounded, also of one user, and places are free again after use") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  std::vector<Operator> held;
  for (int i = 0; i < 48; ++i) {
    held.push_back(control.attach_raw(1000));
    (void)held.back().expect<Welcome>(0);
  }
  check_refused(control, control.attach_raw(1000), ErrorCode::resource_exhausted);
  for (int i = 0; i < 16; ++i) held.push_back(control.attach());
  const Operator over = control.attach_raw(0);
  CHECK(over.expect<ErrorMessage>(0).to_error().code == ErrorCode::resource_exhausted);
  CHECK(over.at_end());
  for (int i = 0; i < 10; ++i) {
    REQUIRE(::shutdown(held[i].fd(), SHUT_WR) == 0);
    CHECK(held[i].at_end());  // control has seen the end and let go
  }
  for (int i = 0; i < 5; ++i) {
    const Operator again = control.attach_raw(1000);
    (void)again.expect<Welcome>(0);
  }
}

TEST_CASE("a peer that leaves before its answer costs nothing") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  std::vector<Command> commands;
  for (int i = 0; i < 20; ++i) {
    const Operator peer = control.attach();
    peer.request(AdminRestart{"acme"}, 1);
    commands.push_back(control.expect<Command>());
  }
  for (const Command& command : commands) control.finish(command);
  const Operator peer = control.attach();
  peer.request(Ping{}, 1);
  (void)peer.expect<Pong>(1);
}

TEST_CASE("the table of commands is bounded") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  std::vector<Operator> peers;
  for (std::uint32_t i = 0; i < 17; ++i) {
    peers.push_back(control.attach_raw(i));
    (void)peers.back().expect<Welcome>(0);
    for (std::uint64_t id = 1; id <= 8; ++id) peers.back().request(AdminRestart{"acme"}, id);
    if (i < 16) {
      for (int id = 0; id < 8; ++id) (void)control.expect<Command>();
    }
  }
  const Error error = peers.back().expect<ErrorMessage>(1).to_error();
  CHECK(error.code == ErrorCode::unavailable);
}

TEST_CASE("link messages that are none are ignored; a descriptor without an attach is closed") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const std::vector<std::byte> garbage(300, std::byte{0xee});
  control.send_packet(garbage);
  control.send_packet(std::span(garbage).first(3));
  auto wrong_version = make_link_message<Event>(7);
  wrong_version.header.version = 99;
  control.send(wrong_version);
  control.send(make_link_message<Settings>(7));
  control.send(make_link_message<Attach>(7));  // without its socket
  const Operator peer = control.attach();
  peer.request(AdminEventsRequest{}, 1);
  CHECK(peer.expect<AdminEvents>(1).events.empty());
}

TEST_CASE("control ends with its link, in order on drain and SIGTERM") {
  const TemporaryDirectory data;
  ControlProcess control(data.path());
  const Operator peer = control.attach();
  SUBCASE("end of the link") {
    control.close_link();
    CHECK(peer.expect<Goaway>(0).reason == GoawayReason::restarting);
  }
  SUBCASE("drain") {
    control.send(make_link_message<Drain>(7));
    (void)control.expect<Drained>();
    CHECK(peer.expect<Goaway>(0).reason == GoawayReason::stopping);
  }
  SUBCASE("SIGTERM") {
    control.terminate();
    CHECK(peer.expect<Goaway>(0).reason == GoawayReason::stopping);
  }
  CHECK(peer.at_end());
  CHECK(control.wait_exit() == 0);
}

TEST_CASE("a launch spec that is not for control is refused with its exit code") {
  const TemporaryDirectory data;
  LaunchSpec spec = ControlProcess::control_spec();
  SUBCASE("for a worker") { spec.kind = ProgramKind::worker; }
  SUBCASE("another version") { spec.version = 99; }
  SUBCASE("no magic") { spec.magic = 0; }
  ControlProcess control(data.path(), {}, false, spec);
  CHECK(control.wait_exit() == static_cast<int>(ExitCode::bad_launch_spec));
}
