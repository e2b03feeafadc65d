#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <array>

#include "shared/base/clock.h"
#include "tests/unit/worker/runtime/worker_process.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

struct Desk {
  TemporaryDirectory directory;
  WorkerProcess worker;
  explicit Desk(const LaunchSpec& spec = test_spec(), const std::vector<std::string>& flags = {})
      : worker(directory.path(), spec, flags) {
    const bool ready = worker.link.await<Ready>().has_value();
    INFO(worker.log());
    REQUIRE(ready);
  }
  // True once the status is as wanted; asks again until then, within patience_ms.
  template <class Wanted>
  [[nodiscard]] bool settles(Wanted wanted) {
    const std::uint64_t until = monotonic_ns() + std::uint64_t{patience_ms} * 1'000'000;
    while (monotonic_ns() < until) {
      if (wanted(worker.status())) return true;
    }
    return false;
  }
  RawClient client(Transport transport) {
    RawClient client(worker.attach());
    REQUIRE(client.choose(transport));
    return client;
  }
};

void teach(RawClient& client) {
  const Frame billing = client.call(1, put_route("billing", {"refund my invoice", "pay the bill"}));
  REQUIRE(billing.type() == MessageType::routes_edited);
  const Frame login = client.call(2, put_route("login", {"reset my password", "cannot log in"}));
  REQUIRE(login.type() == MessageType::routes_edited);
  CHECK(login.as<RoutesEdited>().routes == 2);
  CHECK(login.as<RoutesEdited>().utterances == 4);
}

// A good frame with one thing wrong.
struct BadFrame {
  std::string what;
  std::vector<std::byte> bytes;
};
std::vector<BadFrame> bad_frames() {
  const auto good = frame_bytes(5, ask("hello"));
  const auto with = [&good](auto change) {
    FrameHeader header;
    std::memcpy(&header, good.data(), sizeof header);
    change(header);
    auto bytes = good;
    std::memcpy(bytes.data(), &header, sizeof header);
    return bytes;
  };
  std::vector<BadFrame> frames;
  frames.push_back({"flags", with([](FrameHeader& h) { h.flags = 1; })});
  frames.push_back({"unknown type", with([](FrameHeader& h) { h.type = 9999; })});
  frames.push_back({"type 0", with([](FrameHeader& h) { h.type = 0; })});
  frames.push_back({"a server's type", with([](FrameHeader& h) { h.type = 17; })});
  frames.push_back({"control's type", with([](FrameHeader& h) { h.type = 66; })});
  frames.push_back({"a second choice", with([](FrameHeader& h) { h.type = 3; })});
  frames.push_back({"no request id", with([](FrameHeader& h) { h.request_id = 0; })});
  frames.push_back({"not this message's payload", with([](FrameHeader& h) { h.type = 18; })});
  auto trailing = with([](FrameHeader& h) { h.size += 1; });
  trailing.push_back(std::byte{0});
  frames.push_back({"trailing byte", trailing});
  auto count = good;
  count[sizeof(FrameHeader) + 3] = std::byte{0xff};  // the text's length
  frames.push_back({"length beyond the payload", count});
  return frames;
}

}  // namespace

TEST_CASE("edit, route, page, stats and ping on both transports") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    CAPTURE(static_cast<int>(transport));
    Desk desk;
    RawClient client = desk.client(transport);
    CHECK(client.welcome.generation == 7);
    CHECK(client.welcome.dimension == 64);
    CHECK(client.welcome.encoder == "hash");
    CHECK(desk.worker.threads() == 1);
    teach(client);
    CHECK(desk.worker.threads() == 2);
    RouteRequest request = ask("please reset my password");
    request.explain = true;
    request.user = "ada";
    request.labels = {{"app", "web"}};
    const Frame routed = client.call(3, request);
    REQUIRE(routed.type() == MessageType::route_reply);
    CHECK(routed.header.request_id == 3);
    const auto reply = routed.as<RouteReply>();
    CHECK(reply.best.route == "login");
    CHECK_FALSE(reply.is_fallback);
    CHECK(reply.utterance == "reset my password");
    CHECK(reply.alternatives.size() == 1);
    RoutesPageRequest page;
    page.with_utterances = true;
    page.with_embeddings = true;
    const auto listed = client.call(4, page).as<RoutesPage>();
    REQUIRE(listed.routes.size() == 2);
    CHECK(listed.routes[0].route.id == "billing");
    CHECK(listed.routes[1].route.utterances[0].text == "reset my password");
    CHECK(listed.routes[1].route.utterances[0].embedding.size() == 64);
    CHECK_FALSE(listed.more);
    const auto stats = client.call(5, TenantStatsRequest{}).as<TenantStats>();
    CHECK(stats.generation == 7);
    CHECK(stats.routes == 2);
    CHECK(stats.requests == 4);
    CHECK(stats.attachments == 1);
    CHECK(client.call(6, Ping{}).type() == MessageType::pong);
  }
}

TEST_CASE("a batch answers as its requests one by one, on both transports") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    CAPTURE(static_cast<int>(transport));
    Desk desk;
    RawClient client = desk.client(transport);
    teach(client);
    RouteBatch batch;
    batch.items.assign(32, ask("please reset my password"));
    batch.items[5] = ask("refund my invoice");
    batch.items[6].alternatives = 65;
    batch.items[7].text = {};
    batch.items[8].user = "\x01";
    const std::vector<float> short_vector(3);
    batch.items[9].embedding = short_vector;
    const Frame frame = client.call(3, batch);
    REQUIRE(frame.type() == MessageType::route_batch_reply);
    const auto reply = frame.as<RouteBatchReply>();
    REQUIRE(reply.items.size() == 32);
    for (std::size_t i = 0; i < reply.items.size(); ++i) {
      CAPTURE(i);
      const RouteBatchItem& item = reply.items[i];
      const Frame alone = client.call(100 + i, batch.items[i]);
      CHECK(item.answered == (alone.type() == MessageType::route_reply));
      if (item.answered) {
        const auto single = alone.as<RouteReply>();
        CHECK(item.reply.best.route == single.best.route);
        CHECK(item.reply.best.confidence == single.best.confidence);
        CHECK(item.reply.alternatives.size() == single.alternatives.size());
      } else {
        CHECK(item.error.to_error().code == alone.error());
        CHECK((i >= 6 && i <= 9));
      }
    }
    CHECK(reply.items[5].reply.best.route == "billing");
    batch.items.push_back(ask("one too many"));
    CHECK(client.call(200, batch).error() == ErrorCode::invalid_argument);
    CHECK(client.call(201, RouteBatch{}).error() == ErrorCode::invalid_argument);
    // Two edits, 32 + 32 requests, the two batches that were refused.
    CHECK(client.call(202, TenantStatsRequest{}).as<TenantStats>().requests == 68);
  }
}

TEST_CASE("wrong values are answers, not faults") {
  Desk desk;
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    RawClient client = desk.client(transport);
    const std::array<float, 3> short_vector{1, 2, 3};
    RouteRequest request;
    request.embedding = short_vector;
    CHECK(client.call(1, request).error() == ErrorCode::wrong_dimension);
    CHECK(client.call(2, ask("late"), monotonic_ns()).error() == ErrorCode::deadline_exceeded);
    request = ask("hello");
    request.user = "line\nbreak";
    CHECK(client.call(3, request).error() == ErrorCode::invalid_argument);
    request = ask("hello");
    request.labels = {{"", "x"}};
    CHECK(client.call(4, request).error() == ErrorCode::invalid_argument);
    request = ask("hello");
    request.alternatives = 65;
    CHECK(client.call(5, request).error() == ErrorCode::invalid_argument);
    CHECK(client.call(6, RoutesEdit{}).error() == ErrorCode::invalid_argument);
    RoutesEdit remove;
    remove.edits.emplace_back().kind = EditKind::remove;
    remove.edits[0].route.id = "nowhere";
    CHECK(client.call(7, remove).error() == ErrorCode::not_found);
    RoutesEdit many;
    many.edits.resize(33);
    CHECK(client.call(8, many).error() == ErrorCode::invalid_argument);
    RoutesPageRequest page;
    page.only_route = "nowhere";
    CHECK(client.call(9, page).error() == ErrorCode::not_found);
    CHECK(client.call(10, Ping{}).type() == MessageType::pong);
  }
  CHECK(desk.worker.status().peer_faults == 0);
  CHECK(desk.worker.status().errors == 18);
}

TEST_CASE("every kind of malformed frame costs its own attachment only") {
  Desk desk;
  RawClient bystander = desk.client(Transport::stream);
  std::uint64_t faults = 0;
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    for (const BadFrame& bad : bad_frames()) {
      CAPTURE(bad.what);
      RawClient client = desk.client(transport);
      if (transport == Transport::ring) {
        client.push(bad.bytes);
      } else {
        client.send_bytes(bad.bytes);
      }
      const auto answer = client.receive();
      // A ring that is broken by itself (flags) carries no answer either.
      if (transport == Transport::stream || bad.what != "flags") {
        REQUIRE(answer);
        CHECK(answer->error() == ErrorCode::protocol_error);
      }
      CHECK(client.at_eof());
      CHECK(desk.worker.status().peer_faults == ++faults);
    }
  }
  CHECK(bystander.call(1, Ping{}).type() == MessageType::pong);
  CHECK(desk.worker.status().attachments == 1);
}

TEST_CASE("an oversized frame is refused before its payload is waited for") {
  Desk desk;
  RawClient client = desk.client(Transport::stream);
  FrameHeader header;
  header.size = max_frame_bytes + 1;
  header.type = static_cast<std::uint16_t>(MessageType::route);
  header.request_id = 1;
  client.send_bytes(std::as_bytes(std::span(&header, 1)));
  CHECK(client.receive().value().error() == ErrorCode::protocol_error);
  CHECK(client.at_eof());
}

TEST_CASE("frames cut anywhere arrive whole; EOF inside one ends the attachment") {
  Desk desk;
  RawClient client = desk.client(Transport::stream);
  const auto bytes = frame_bytes(1, ask("byte by byte"));
  for (const std::byte& one : bytes) client.send_bytes(std::span(&one, 1));
  CHECK(client.receive().value().type() == MessageType::route_reply);
  client.send_bytes(std::span(bytes).first(bytes.size() - 3));
  client.close();
  RawClient next = desk.client(Transport::stream);
  CHECK(next.call(1, Ping{}).type() == MessageType::pong);
  CHECK(desk.settles([](const WorkerStatus& s) { return s.attachments == 1; }));
  CHECK(desk.worker.status().peer_faults == 0);
}

TEST_CASE("handshakes that break the rules") {
  Desk desk(test_spec(), {"--handshake-timeout-ms", "80"});
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd memory(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const auto stream = frame_bytes(0, ChooseTransport{Transport::stream});
  const auto ring = frame_bytes(0, ChooseTransport{Transport::ring});
  const std::array<int, 1> one{file.get()};
  const std::array<int, 1> unsealed{memory.get()};
  const std::array<int, 3> three{file.get(), file.get(), file.get()};
  const std::size_t before = desk.worker.open_descriptors();
  const auto refused = [&desk](const char* what, auto act) {
    CAPTURE(what);
    RawClient client(desk.worker.attach());
    act(client);
    const auto answer = client.receive();
    REQUIRE(answer);
    CHECK(answer->type() == MessageType::error);
    CHECK(client.at_eof());
  };
  refused("request first", [](RawClient& c) { c.send(1, Ping{}); });
  refused("descriptor with stream", [&](RawClient& c) { c.send_bytes_with(stream, one); });
  refused("ring without memory", [&](RawClient& c) { c.send_bytes(ring); });
  refused("ring with a device", [&](RawClient& c) { c.send_bytes_with(ring, one); });
  refused("ring with an unsealed memfd", [&](RawClient& c) { c.send_bytes_with(ring, unsealed); });
  refused("three descriptors", [&](RawClient& c) { c.send_bytes_with(ring, three); });
  refused("silence", [](RawClient&) {});
  CHECK(desk.worker.status().peer_faults == 7);
  CHECK(desk.worker.status().attachments == 0);
  CHECK(desk.worker.open_descriptors() == before);
  // Once serving, descriptors are closed by the kernel and bytes on a ring's socket are a fault.
  RawClient client = desk.client(Transport::stream);
  client.send_bytes_with(frame_bytes(1, Ping{}), three);
  CHECK(client.receive().value().type() == MessageType::pong);
  CHECK(desk.worker.open_descriptors() == before + 1);
  RawClient on_ring = desk.client(Transport::ring);
  on_ring.send_bytes(frame_bytes(1, Ping{}));
  CHECK(on_ring.at_eof());
}

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
