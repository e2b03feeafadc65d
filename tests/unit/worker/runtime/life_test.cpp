#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "shared/os/sealed_memfd.h"
#include "shared/os/socket.h"
#include "shared/protocol/stats_messages.h"
#include "tests/unit/worker/runtime/worker_process.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

void be_ready(WorkerProcess& worker) {
  const bool ready = worker.link.await<Ready>().has_value();
  INFO(worker.log());
  REQUIRE(ready);
}

RawClient serve(WorkerProcess& worker, Transport transport) {
  RawClient client(worker.attach());
  REQUIRE(client.choose(transport));
  return client;
}

// A later supervisor, listening where workers register again.
struct NextSupervisor {
  UniqueFd listener;
  LinkEnd accepted;
  explicit NextSupervisor(const TemporaryDirectory& directory)
      : listener(listen_unix(directory.file("link.sock"), SocketKind::seqpacket, 8, 0600).value()) {
  }
  std::optional<WorkerHello> accept() {
    if (!wait_readable(listener.get())) return std::nullopt;
    accepted = LinkEnd(UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    return accepted.await<WorkerHello>();
  }
};

}  // namespace

TEST_CASE("drain: GOAWAY names the last request, edits in flight are answered, exit is clean") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    CAPTURE(static_cast<int>(transport));
    TemporaryDirectory directory;
    WorkerProcess worker(directory.path(), test_spec());
    be_ready(worker);
    RawClient client = serve(worker, transport);
    RawClient idle = serve(worker, Transport::ring);
    REQUIRE(client.call(41, ask("hello")).type() == MessageType::route_reply);
    client.send(42, put_route("billing", {"refund my invoice"}));
    // The edit was taken when a later request is answered; its own answer may come before or after.
    client.send(43, Ping{});
    std::vector<MessageType> seen;
    seen.push_back(client.receive().value().type());
    if (seen.back() == MessageType::routes_edited) seen.push_back(client.receive().value().type());
    auto drain = make_link_message<Drain>(7);
    drain.reason = DrainReason::replaced;
    drain.timeout_ms = 10'000;
    worker.link.send(drain);
    bool goaway = false;
    while (auto frame = client.receive()) {
      seen.push_back(frame->type());
      if (frame->type() != MessageType::goaway) continue;
      goaway = true;
      CHECK(frame->as<Goaway>().reason == GoawayReason::replaced);
      CHECK(frame->as<Goaway>().last_request_id == 43);
    }
    CHECK(goaway);
    CHECK(std::count(seen.begin(), seen.end(), MessageType::routes_edited) == 1);
    CHECK(idle.receive().value().as<Goaway>().last_request_id == 0);
    CHECK(worker.link.await<Drained>().has_value());
    CHECK(worker.wait_exit() == 0);
    WorkerProcess next(directory.path(), test_spec());
    be_ready(next);
    CHECK(next.status().routes == 1);
  }
}

TEST_CASE("SIGTERM drains; a client that does not read cannot hold up the exit") {
  TemporaryDirectory directory;
  auto spec = test_spec();
  spec.drain_timeout_ms = 200;
  WorkerProcess worker(directory.path(), spec);
  be_ready(worker);
  RawClient quiet = serve(worker, Transport::stream);
  const auto flood = frame_bytes(9, ask("refund my invoice"));
  for (int stuck = 0; stuck < 3;) {
    if (quiet.send_some(flood) > 0) {
      stuck = 0;
      continue;
    }
    ++stuck;
    (void)worker.status();
  }
  worker.signal(SIGTERM);
  CHECK(worker.wait_exit() == 0);
}

TEST_CASE("the supervisor's death interrupts nobody, and the next one adopts the worker") {
  TemporaryDirectory directory;
  WorkerProcess worker(directory.path(), test_spec());
  be_ready(worker);
  RawClient stream = serve(worker, Transport::stream);
  RawClient ring = serve(worker, Transport::ring);
  for (int round = 0; round < 3; ++round) {
    worker.link.close();
    CHECK(stream.call(1, Ping{}).type() == MessageType::pong);
    CHECK(ring.call(1, ask("hello")).type() == MessageType::route_reply);
    CHECK(ring.call(2, put_route("billing", {"pay"})).type() == MessageType::routes_edited);
    NextSupervisor supervisor(directory);
    const auto hello = supervisor.accept();
    REQUIRE(hello);
    CHECK(hello->header.generation == 7);
    CHECK(hello->tenant_id.view() == "acme");
    supervisor.accepted.send(make_link_message<Adopted>(7));
    worker.link = std::move(supervisor.accepted);
    CHECK(worker.status().attachments == 2);
    CHECK(serve(worker, Transport::ring).call(1, Ping{}).type() == MessageType::pong);
  }
}

TEST_CASE("a supervisor that refuses is asked again; one that says drain is obeyed") {
  TemporaryDirectory directory;
  WorkerProcess worker(directory.path(), test_spec());
  be_ready(worker);
  worker.link.close();
  NextSupervisor supervisor(directory);
  REQUIRE(supervisor.accept());
  supervisor.accepted.close();
  REQUIRE(supervisor.accept());
  supervisor.accepted.send(make_link_message<Drain>(7));
  CHECK(supervisor.accepted.await<Drained>().has_value());
  CHECK(worker.wait_exit() == 0);
}

TEST_CASE("nobody adopts: the orphan says GOAWAY and exits with its own code") {
  TemporaryDirectory directory;
  auto spec = test_spec();
  spec.orphan_grace_ms = 300;
  WorkerProcess worker(directory.path(), spec);
  be_ready(worker);
  RawClient client = serve(worker, Transport::ring);
  NextSupervisor silent(directory);  // takes the hello and says nothing
  worker.link.close();
  REQUIRE(silent.accept());
  CHECK(client.call(1, Ping{}).type() == MessageType::pong);
  CHECK(client.receive().value().type() == MessageType::goaway);
  CHECK(worker.wait_exit() == static_cast<int>(ExitCode::orphaned));
}

TEST_CASE("settings change live; those that need a new worker are refused, both keep it serving") {
  TemporaryDirectory directory;
  auto settings = test_settings();
  WorkerProcess worker(directory.path(), test_spec(settings));
  be_ready(worker);
  RawClient client = serve(worker, Transport::stream);
  REQUIRE(client.call(1, put_route("billing", {"refund my invoice"})).type() ==
          MessageType::routes_edited);
  CHECK_FALSE(client.call(2, ask("unrelated words")).as<RouteReply>().is_fallback);
  auto message = make_link_message<Settings>(7);
  message.settings = settings;
  message.settings.router.threshold = 1.0F;
  message.settings.max_batch_size = 1;
  worker.link.send(message);
  // Settings travel behind edits: an edit's answer means that they were applied.
  (void)worker.status();
  CHECK(client.call(3, put_route("login", {"reset my password"})).type() ==
        MessageType::routes_edited);
  CHECK(client.call(4, ask("unrelated words")).as<RouteReply>().best.route == "human");
  auto two = put_route("a", {"a"});
  two.edits.push_back(two.edits[0]);
  CHECK(client.call(5, two).error() == ErrorCode::invalid_argument);
  message.settings.router.dimension = 128;
  worker.link.send(message);
  (void)worker.status();
  CHECK(client.call(6, put_route("login", {"forgot it"})).type() == MessageType::routes_edited);
  CHECK(serve(worker, Transport::ring).welcome.dimension == 64);
  (void)message.settings.tenant_id.assign("globex");
  worker.link.send(message);
  CHECK(client.call(7, Ping{}).type() == MessageType::pong);
  CHECK(worker.log().find("settings of another tenant") != std::string::npos);
}

TEST_CASE("a corrupt store degrades the tenant, not the worker") {
  TemporaryDirectory directory;
  {
    WorkerProcess worker(directory.path(), test_spec());
    be_ready(worker);
    RawClient client = serve(worker, Transport::stream);
    REQUIRE(client.call(1, put_route("billing", {"pay"})).type() == MessageType::routes_edited);
    worker.link.send(make_link_message<Drain>(7));
    REQUIRE(worker.wait_exit() == 0);
  }
  {
    std::fstream file(directory.file("routes.db"), std::ios::in | std::ios::out);
    file.write("this is not a database any more, not at all", 43);
  }
  WorkerProcess worker(directory.path(), test_spec());
  be_ready(worker);
  const WorkerStatus status = worker.status();
  CHECK(status.store_state == StoreState::degraded);
  CHECK_FALSE(status.store_reason.view().empty());
  RawClient client = serve(worker, Transport::ring);
  CHECK(client.call(1, ask("pay")).error() == ErrorCode::store_degraded);
  CHECK(client.call(2, put_route("a", {"b"})).error() == ErrorCode::store_degraded);
  CHECK(client.call(3, RoutesPageRequest{}).error() == ErrorCode::store_degraded);
  const auto stats = client.call(4, TenantStatsRequest{}).as<TenantStats>();
  CHECK(stats.store_degraded);
  CHECK_FALSE(stats.store_reason.empty());
  CHECK(client.call(5, Ping{}).type() == MessageType::pong);
}

TEST_CASE("two workers never write one tenant's data: the second waits for the first") {
  TemporaryDirectory directory;
  WorkerProcess first(directory.path(), test_spec());
  be_ready(first);
  WorkerProcess second(directory.path(), test_spec());
  first.link.send(make_link_message<Drain>(7));
  CHECK(first.wait_exit() == 0);
  be_ready(second);
}

TEST_CASE("a new log pipe takes over, and one that nobody reads blocks nothing") {
  TemporaryDirectory directory;
  WorkerProcess worker(directory.path(), test_spec(), {"--handshake-timeout-ms", "50"});
  be_ready(worker);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  worker.link.send(make_link_message<LogPipe>(7), writer.get());
  {
    RawClient silent(worker.attach());
    CHECK(silent.at_eof());
  }
  REQUIRE(wait_readable(reader.get()));
  std::string line(512, '\0');
  line.resize(static_cast<std::size_t>(::read(reader.get(), line.data(), line.size())));
  CHECK(line.starts_with("level=warning msg=\"attachment dropped\""));
  CHECK(line.ends_with("\n"));
  // Full, then broken.
  REQUIRE(::fcntl(writer.get(), F_SETFL, O_NONBLOCK) == 0);
  const std::string filler(4096, 'x');
  while (::write(writer.get(), filler.data(), filler.size()) > 0) continue;
  REQUIRE(::fcntl(writer.get(), F_SETFL, 0) == 0);
  for (int i = 0; i < 2; ++i) {
    {
      RawClient silent(worker.attach());
      CHECK(silent.at_eof());
    }
    CHECK(serve(worker, Transport::ring).call(1, Ping{}).type() == MessageType::pong);
    reader.reset();
  }
}

TEST_CASE("a launch spec that does not validate is refused with its exit code") {
  TemporaryDirectory directory;
  auto spec = test_spec();
  SUBCASE("magic") { spec.magic = 1; }
  SUBCASE("version") { spec.version = 99; }
  SUBCASE("kind") { spec.kind = ProgramKind::control; }
  SUBCASE("tenant") { (void)spec.tenant.tenant_id.assign("../x"); }
  SUBCASE("settings") { spec.tenant.router.dimension = 0; }
  WorkerProcess worker(directory.path(), spec);
  CHECK(worker.wait_exit() == static_cast<int>(ExitCode::bad_launch_spec));
}

TEST_CASE("an idle worker is one small thread that uses no CPU") {
  TemporaryDirectory directory;
  WorkerProcess worker(directory.path(), test_spec());
  be_ready(worker);
  RawClient ring = serve(worker, Transport::ring);
  CHECK(ring.call(1, Ping{}).type() == MessageType::pong);
  (void)worker.status();
  const std::uint64_t before = worker.cpu_ms();
  pollfd nothing{-1, 0, 0};
  (void)::poll(&nothing, 1, 1000);  // measures idleness: there is nothing to wait for
  CHECK(worker.cpu_ms() - before <= 10);
  CHECK(worker.threads() == 1);
  const std::uint64_t pss_kib = worker.smaps_kib("Pss");
  MESSAGE("idle worker: " << pss_kib << " KiB PSS, " << worker.smaps_kib("Pss_Anon")
                          << " KiB of it its own");
  if (TENANTD_SANITIZED == 0) CHECK(worker.smaps_kib("Pss_Anon") < 1024);
}
