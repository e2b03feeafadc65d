#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <array>

#include "shared/base/clock.h"
#include "shared/protocol/stats_messages.h"
#include "tests/unit/worker/runtime/desk.h"

using namespace tenantd;
using namespace tenantd::test;

namespace {

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
  frames.push_back({"flags", with([](FrameHeader& h) { h.flags = attempt_mask + 1; })});
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
