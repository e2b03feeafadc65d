// What one client can take of a worker: time, memory, attachments.
#include <doctest/doctest.h>

#include <array>

#include "tests/unit/worker/runtime/desk.h"

using namespace tenantd;
using namespace tenantd::test;

TEST_CASE("a client that never reads stalls only itself and is dropped") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    CAPTURE(static_cast<int>(transport));
    Desk desk(test_spec(), {"--stall-timeout-ms", "300"});
    RawClient quiet = desk.client(transport);
    teach(quiet);
    RawClient other = desk.client(Transport::stream);
    const auto flood = frame_bytes(9, ask("refund my invoice"));
    FrameHeader header;
    std::memcpy(&header, flood.data(), sizeof header);
    const auto push = [&] {
      const auto pushed = quiet.ring().try_push(header, std::span(flood).subspan(sizeof header));
      quiet.ring().publish();
      return pushed.value() == PushOutcome::pushed;
    };
    const auto flood_once = [&] {
      return transport == Transport::ring ? push() : quiet.send_some(flood) > 0;
    };
    std::uint64_t sent = 0;
    // Until nothing moves although the other attachment was served in between.
    for (int stuck = 0; stuck < 3;) {
      if (flood_once()) {
        stuck = 0;
        ++sent;
        continue;
      }
      ++stuck;
      CHECK(other.call(1, Ping{}).type() == MessageType::pong);
    }
    CHECK(sent > 200);
    CHECK(other.call(2, ask("pay the bill")).type() == MessageType::route_reply);
    // A slow worker may only have been busy with what it had read: the flood goes on.
    CHECK(desk.settles([&](const WorkerStatus& status) {
      if (status.peer_faults == 1) return true;
      (void)flood_once();
      return false;
    }));
    CHECK(desk.worker.status().attachments == 1);
    CHECK(other.call(3, Ping{}).type() == MessageType::pong);
    CHECK(desk.worker.smaps_kib("Rss") < 200'000);
  }
}

TEST_CASE("deep pipelines on both transports are answered once each, others keep being served") {
  constexpr std::uint64_t count = 20'000;
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    CAPTURE(static_cast<int>(transport));
    Desk desk;
    RawClient busy = desk.client(transport);
    teach(busy);
    RawClient other = desk.client(Transport::ring);
    std::uint64_t answered = 0;
    std::uint64_t sent = 0;
    while (answered < count) {
      while (sent < count && sent < answered + 64) busy.send(++sent, ask("refund my invoice"));
      const auto answer = busy.receive();
      REQUIRE(answer);
      REQUIRE(answer->type() == MessageType::route_reply);
      REQUIRE(answer->header.request_id == ++answered);
      if (answered % 4096 == 0) CHECK(other.call(1, Ping{}).type() == MessageType::pong);
    }
  }
}

TEST_CASE("a ring whose indices lie ends its attachment") {
  Desk desk;
  RawClient client(desk.worker.attach());
  // A client's memory whose tail claims more than the ring holds, made before it is sealed.
  auto own = RingMemory::create(client.welcome.ring_bytes).value();
  own.header().tail.store(~std::uint64_t{0});
  const int memory = own.fd();
  client.send_bytes_with(frame_bytes(0, ChooseTransport{Transport::ring}), std::span(&memory, 1));
  CHECK(client.at_eof());
  CHECK(desk.settles([](const WorkerStatus& s) { return s.attachments == 0; }));
  CHECK(desk.worker.status().peer_faults == 1);
}

TEST_CASE("attachments are bounded by the settings and by memory, refusals say why") {
  auto settings = test_settings();
  settings.max_attachments = 5;
  auto spec = test_spec(settings);
  spec.memory_max_bytes = 4 * 3 * ring_attachment_bytes(ring_bytes_default);
  Desk desk(spec);
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(desk.client(Transport::ring));
  UniqueFd refused = desk.worker.attach();
  REQUIRE(wait_readable(refused.get()));
  CHECK(desk.worker.status().attachments_refused == 1);
  UniqueFd stranger = desk.worker.attach("globex");
  REQUIRE(wait_readable(stranger.get()));
  CHECK(desk.worker.status().attachments_refused == 2);
  clients.pop_back();
  CHECK(desk.settles([](const WorkerStatus& s) { return s.attachments == 2; }));
  RawClient again = desk.client(Transport::ring);
  CHECK(again.call(1, Ping{}).type() == MessageType::pong);
}

TEST_CASE("a thousand attach and detach cycles leave nothing behind") {
  Desk desk;
  const auto cycle = [&desk](int i) {
    RawClient client(desk.worker.attach());
    if (i % 3 == 0) return;  // gone in the handshake
    const Transport transport = i % 2 == 0 ? Transport::stream : Transport::ring;
    REQUIRE(client.choose(transport));
    REQUIRE(client.call(1, ask("hello")).type() == MessageType::route_reply);
  };
  const auto settled = [&desk] {
    CHECK(desk.settles([](const WorkerStatus& s) { return s.attachments == 0; }));
  };
  for (int i = 0; i < 50; ++i) cycle(i);
  settled();
  const std::size_t descriptors = desk.worker.open_descriptors();
  const std::uint64_t memory_kib = desk.worker.smaps_kib("Pss_Anon");
  for (int i = 0; i < 1000; ++i) cycle(i);
  settled();
  CHECK(desk.worker.open_descriptors() == descriptors);
  CHECK(desk.worker.smaps_kib("Pss_Anon") <= memory_kib + (TENANTD_SANITIZED ? 65'536 : 256));
  CHECK(desk.worker.threads() == 1);
}
