// Hellos over real sockets: whole, in pieces, late, too long, too many; and the broker behind them.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cstring>

#include "shared/base/clock.h"
#include "shared/os/socket.h"
#include "shared/protocol/frame.h"
#include "shared/protocol/messages.h"
#include "supervisor/attach/broker.h"

using namespace tenantd;

namespace {

TenantId acme() { return TenantId::parse("acme").value(); }

Hello hello_to(const char* tenant) {
  Hello hello;
  (void)hello.tenant_id.assign(tenant);
  return hello;
}

struct FakeTargets final : AttachTargets {
  AccessConfig access;
  Result<Readiness> readiness = Readiness::now;
  std::vector<Attach> handed;
  std::vector<UniqueFd> sockets;
  int to_control = 0;
  bool takes = true;

  const AccessConfig* access_of(const TenantId& tenant) override {
    return tenant == acme() ? &access : nullptr;
  }
  Result<Readiness> request_worker(const TenantId&) override { return readiness; }
  Status hand_to_worker(const TenantId&, Attach attach, UniqueFd socket) override {
    if (!takes) return fail(ErrorCode::resource_exhausted, "full");
    handed.push_back(attach);
    sockets.push_back(std::move(socket));
    return {};
  }
  Status hand_to_control(Attach, UniqueFd socket) override {
    ++to_control;
    sockets.push_back(std::move(socket));
    return {};
  }
};

struct Fixture {
  Loop loop;
  FakeTargets targets;
  HelloCounters counters;
  HelloConfig config{.max_per_second = 1000, .max_per_second_per_uid = 1000, .max_pending = 16};
  Broker broker{loop, targets, {::geteuid(), std::nullopt}, counters};
  HelloReception reception{
      loop, config, 50, counters,
      [this](UniqueFd connection, const CheckedHello& hello, const PeerIdentity& peer) {
        broker.on_hello(std::move(connection), hello, peer);
      }};

  UniqueFd connect() {
    auto pair = make_socket_pair(SocketKind::stream).value();
    reception.receive(std::move(pair.second));
    return std::move(pair.first);
  }
  UniqueFd say(const Hello& hello) {
    UniqueFd client = connect();
    REQUIRE(::send(client.get(), &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello);
    loop.run_once();
    return client;
  }
  // The error code of the frame that came, then the end of the stream. 0: nothing came.
  static std::uint16_t error_on(const UniqueFd& client) {
    alignas(8) std::array<std::byte, 4096> bytes{};
    const ssize_t n = ::recv(client.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < static_cast<ssize_t>(sizeof(FrameHeader))) return 0;
    FrameHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    REQUIRE(header.type == static_cast<std::uint16_t>(MessageType::error));
    REQUIRE(header.size + sizeof header == static_cast<std::size_t>(n));
    char end = 0;
    // A close with unread bytes is a reset: both are an end.
    const ssize_t more = ::recv(client.get(), &end, 1, MSG_DONTWAIT);
    CHECK((more == 0 || (more < 0 && errno == ECONNRESET)));
    return decode<ErrorMessage>(std::span(bytes).subspan(sizeof header, header.size)).value().code;
  }
  static std::uint16_t number(ErrorCode code) { return static_cast<std::uint16_t>(code); }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a good hello is handed over with the kernel's identity") {
  const UniqueFd client = say(hello_to("acme"));
  REQUIRE(targets.handed.size() == 1);
  CHECK(targets.handed[0].tenant_id.view() == "acme");
  CHECK(targets.handed[0].peer_uid == ::geteuid());
  CHECK(targets.handed[0].peer_pid == ::getpid());
  CHECK(targets.handed[0].is_operator == 1);
  CHECK(counters.accepted == 1);
  CHECK(reception.pending() == 0);
  // The socket is the client's own: what is written on it arrives there.
  REQUIRE(::send(targets.sockets[0].get(), "x", 1, 0) == 1);
  char byte = 0;
  CHECK(::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 1);
}

TEST_CASE_FIXTURE(Fixture, "a hello in pieces is taken, one byte too many is not") {
  const Hello hello = hello_to("acme");
  const auto* bytes = reinterpret_cast<const char*>(&hello);
  const UniqueFd slow = connect();
  for (std::size_t i = 0; i < sizeof hello; i += 64) {
    REQUIRE(::send(slow.get(), bytes + i, 64, 0) == 64);
    loop.run_once();
  }
  CHECK(counters.accepted == 1);
  const UniqueFd greedy = connect();
  std::array<char, sizeof hello + 1> more{};
  std::memcpy(more.data(), bytes, sizeof hello);
  REQUIRE(::send(greedy.get(), more.data(), more.size(), 0) == static_cast<ssize_t>(more.size()));
  loop.run_once();
  CHECK(error_on(greedy) == number(ErrorCode::protocol_error));
  CHECK(counters.malformed == 1);
}

TEST_CASE_FIXTURE(Fixture, "late and half-closed hellos") {
  const UniqueFd silent = connect();
  UniqueFd gone = connect();
  gone.reset();
  const std::uint64_t until = monotonic_ns() + 5'000'000'000;
  while (reception.pending() > 0 && monotonic_ns() < until) loop.run_once();
  CHECK(counters.late == 1);
  CHECK(counters.malformed == 1);
  CHECK(error_on(silent) == number(ErrorCode::deadline_exceeded));
}

TEST_CASE_FIXTURE(Fixture, "one user cannot take all pending places") {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(connect());
  CHECK(reception.pending() == 4);  // a quarter of 16
  CHECK(counters.overload == 2);
  CHECK(error_on(clients[5]) == number(ErrorCode::unavailable));
}

TEST_CASE_FIXTURE(Fixture, "unknown and forbidden tenants look alike to strangers") {
  CHECK(error_on(say(hello_to("nobody"))) == number(ErrorCode::not_found));  // we are an operator
  Hello stranger = hello_to("nobody");
  stranger.credential = CredentialKind::token;
  stranger.token_size = 32;
  const std::uint16_t unknown = error_on(say(stranger));
  Hello forbidden = stranger;
  (void)forbidden.tenant_id.assign("acme");
  CHECK(error_on(say(forbidden)) == unknown);
  CHECK(unknown == number(ErrorCode::permission_denied));
  CHECK(counters.unknown_tenant == 2);
  CHECK(counters.denied == 1);
}

TEST_CASE_FIXTURE(Fixture, "clients wait while the worker starts, and all are handed over") {
  targets.readiness = AttachTargets::Readiness::wait;
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(say(hello_to("acme")));
  CHECK(broker.waiting() == 5);
  CHECK(targets.handed.empty());
  broker.flush(acme());
  CHECK(targets.handed.size() == 5);
  CHECK(broker.waiting() == 0);
}

TEST_CASE_FIXTURE(Fixture, "the waiting queue of a tenant is bounded, and its end is an error") {
  targets.readiness = AttachTargets::Readiness::wait;
  std::vector<UniqueFd> clients;
  for (std::size_t i = 0; i <= Broker::max_waiting_per_tenant; ++i) {
    clients.push_back(say(hello_to("acme")));
  }
  CHECK(broker.waiting() == Broker::max_waiting_per_tenant);
  CHECK(error_on(clients.back()) == number(ErrorCode::unavailable));
  Error error;
  error.code = ErrorCode::quarantined;
  broker.refuse_waiting(acme(), error);
  CHECK(broker.waiting() == 0);
  CHECK(error_on(clients.front()) == number(ErrorCode::quarantined));
}

TEST_CASE_FIXTURE(Fixture, "a hand-over that fails is an error frame, not a silence") {
  targets.takes = false;
  CHECK(error_on(say(hello_to("acme"))) == number(ErrorCode::unavailable));
}

TEST_CASE_FIXTURE(Fixture, "control is for operators by the kernel's word only") {
  Hello control;
  control.target = HelloTarget::control;
  const UniqueFd ours = say(control);
  CHECK(targets.to_control == 1);
  control.credential = CredentialKind::token;
  control.token_size = 32;
  CHECK(error_on(say(control)) == number(ErrorCode::permission_denied));
  CHECK(targets.to_control == 1);
}
