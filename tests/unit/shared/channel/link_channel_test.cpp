#include "shared/channel/link_channel.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "shared/os/socket.h"

using namespace tenantd;

namespace {

struct Ends {
  Loop loop;
  UniqueFd peer;
  std::unique_ptr<LinkChannel> channel;
  int messages = 0;
  int closed = 0;
  UniqueFd last_descriptor;

  explicit Ends(LinkChannel::Descriptors descriptors) {
    auto pair = make_socket_pair(SocketKind::seqpacket).value();
    peer = std::move(pair.second);
    channel = LinkChannel::create(
                  loop, std::move(pair.first), descriptors,
                  [this](std::span<const std::byte> packet, UniqueFd descriptor) {
                    Drain drain;
                    if (parse_link_message(packet, drain)) ++messages;
                    last_descriptor = std::move(descriptor);
                  },
                  [this] { ++closed; })
                  .value();
  }
};

template <class T>
std::span<const std::byte> bytes_of(const T& message) {
  return std::as_bytes(std::span(&message, 1));
}

}  // namespace

TEST_CASE("whole messages arrive, wrong sizes and kinds do not parse") {
  Ends ends(LinkChannel::Descriptors::refuse);
  const auto drain = make_link_message<Drain>(1);
  REQUIRE(send_message(ends.peer.get(), bytes_of(drain)).value() == IoOutcome::done);
  REQUIRE(send_message(ends.peer.get(), bytes_of(drain).first(8)).value() == IoOutcome::done);
  REQUIRE(send_message(ends.peer.get(), bytes_of(make_link_message<Ready>(1))).value() ==
          IoOutcome::done);
  ends.loop.run_once();
  CHECK(ends.messages == 1);
  CHECK(ends.closed == 0);
  ends.peer.reset();
  ends.loop.run_once();
  CHECK(ends.closed == 1);
}

TEST_CASE("descriptors enter only where they are accepted") {
  const auto drain = make_link_message<Drain>(1);
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int first_free = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  ::close(first_free);
  Ends refusing(LinkChannel::Descriptors::refuse);
  const int before = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  ::close(before);
  REQUIRE(send_message(refusing.peer.get(), bytes_of(drain), file.get()).has_value());
  refusing.loop.run_once();
  const int after = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  ::close(after);
  CHECK(refusing.messages == 1);
  CHECK(before == after);
  Ends accepting(LinkChannel::Descriptors::accept);
  REQUIRE(send_message(accepting.peer.get(), bytes_of(drain), file.get()).has_value());
  accepting.loop.run_once();
  CHECK(static_cast<bool>(accepting.last_descriptor));
}

TEST_CASE("a peer that does not read fills a bounded queue, and the rest is refused") {
  Ends ends(LinkChannel::Descriptors::refuse);
  const auto drain = make_link_message<Drain>(1);
  Status status;
  std::size_t sent = 0;
  while ((status = ends.channel->send(drain)).has_value()) ++sent;
  CHECK(status.error().code == ErrorCode::resource_exhausted);
  CHECK(ends.channel->queued() == LinkChannel::max_queued_messages);
  std::size_t received = 0;
  std::array<std::byte, 512> buffer;
  for (;;) {
    const auto message = receive_message(ends.peer.get(), buffer, false).value();
    if (message.outcome == IoOutcome::would_block) {
      if (ends.channel->queued() == 0) break;
      ends.loop.run_once();
      continue;
    }
    ++received;
  }
  CHECK(received == sent);
}

TEST_CASE("a peer that closes one direction has closed both") {
  const auto drain = make_link_message<Drain>(1);
  Ends mute(LinkChannel::Descriptors::refuse);
  REQUIRE(::shutdown(mute.peer.get(), SHUT_WR) == 0);
  mute.loop.run_once();
  CHECK(mute.closed == 1);
  Ends deaf(LinkChannel::Descriptors::refuse);
  REQUIRE(send_message(deaf.peer.get(), bytes_of(drain)).value() == IoOutcome::done);
  REQUIRE(::shutdown(deaf.peer.get(), SHUT_RD) == 0);
  CHECK(deaf.channel->send(drain).error().code == ErrorCode::unavailable);
  deaf.loop.run_once();
  CHECK(deaf.messages == 1);  // what it said before is heard
  CHECK(deaf.closed == 1);
}
