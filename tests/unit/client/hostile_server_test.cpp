// A server that somebody took over must not hold a caller past its deadline.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "client/include/tenantd/client.h"
#include "shared/base/clock.h"
#include "tests/unit/client/fake_server.h"

using namespace tenantd;
using namespace tenantd::test;

namespace hostile_server_test {

namespace {

Client connect(const FakeServer& server, Transport transport) {
  ConnectOptions options;
  options.socket_path = server.path();
  options.transport = transport;
  auto client = Client::open("acme-corp", options);
  REQUIRE_MESSAGE(client.has_value(), client.error().describe());
  REQUIRE(client->transport() == transport);
  return std::move(*client);
}

// The client shares the description: this is all that its holder can do to it.
bool fill_and_block(int eventfd) {
  const int flags = ::fcntl(eventfd, F_GETFL);
  const std::uint64_t full = ~std::uint64_t{0} - 1;
  std::uint64_t count = 0;
  return ::read(eventfd, &count, sizeof count) == sizeof count &&
         ::write(eventfd, &full, sizeof full) == sizeof full &&
         ::fcntl(eventfd, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

}  // namespace

// A write that added one would block until the worker pleased: this would hang.
TEST_CASE("a doorbell that is full and blocks ends a call, a batch and the next call in time") {
  std::atomic<bool> filled{false};
  FakeServer server([&](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
    if (!attachment.welcome() || !fill_and_block(attachment.doorbell_fd())) return;
    filled = true;
    while (!stop && attachment.is_open()) ::usleep(1000);  // asleep, as far as its words say
  });
  Client client = connect(server, Transport::ring);
  const std::uint64_t patience_ns = monotonic_ns() + 5'000'000'000;
  while (!filled && monotonic_ns() < patience_ns) ::usleep(1000);
  REQUIRE(filled);
  CHECK(client.route(RouteRequest{}, 50).error().code == ErrorCode::deadline_exceeded);
  const std::vector<RouteRequest> requests(3);
  const auto answers = client.route_many(requests, 50);
  REQUIRE(answers.has_value());
  for (const auto& answer : *answers) {
    CHECK(answer.error().code == ErrorCode::deadline_exceeded);
  }
  CHECK(client.ping(50).error().code == ErrorCode::deadline_exceeded);
}

TEST_CASE("a server that never stops sending what nobody waits for ends a call in time") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    for (const MessageType type : {MessageType::goaway, MessageType::pong}) {
      FakeServer server([&](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
        if (!attachment.welcome()) return;
        const auto first = attachment.next(stop);
        const auto second = attachment.next(stop);
        if (!first || !second) return;
        while (!stop && attachment.is_open()) {
          if (type == MessageType::pong) {
            attachment.answer(first->header.request_id, Pong{});
          } else {
            attachment.answer(0, Goaway{GoawayReason::replaced, second->header.request_id});
          }
        }
      });
      Client client = connect(server, transport);
      CHECK(client.ping(20).error().code == ErrorCode::deadline_exceeded);
      CHECK(client.ping(50).error().code == ErrorCode::deadline_exceeded);
    }
  }
}

}  // namespace hostile_server_test
