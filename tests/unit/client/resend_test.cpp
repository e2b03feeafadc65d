// What a worker is told of a request that another one may have run.
#include <doctest/doctest.h>

#include <mutex>

#include "client/include/tenantd/client.h"
#include "tests/unit/client/fake_server.h"

namespace tenantd::test::resend_test {
namespace {

Client connect(const FakeServer& server, Transport transport) {
  ConnectOptions options;
  options.socket_path = server.path();
  options.transport = transport;
  options.timeout_ms = 3000;
  auto client = Client::open("acme-corp", options);
  REQUIRE_MESSAGE(client.has_value(), client.error().describe());
  return std::move(*client);
}

}  // namespace

TEST_CASE("a request says how often it was sent to a worker that then died") {
  for (const bool many : {false, true}) {
    CAPTURE(many);
    std::mutex mutex;
    std::vector<std::uint16_t> flags;
    FakeServer server([&](ServedAttachment& attachment, int number, const std::atomic<bool>& stop) {
      if (!attachment.welcome()) return;
      while (const auto request = attachment.next(stop)) {
        {
          const std::lock_guard lock(mutex);
          flags.push_back(request->header.flags);
        }
        if (number < 3) return;  // dies
        attachment.serve(*request);
      }
    });
    Client client = connect(server, Transport::stream);
    if (many) {
      std::vector<RouteRequest> requests(1);
      requests[0].text = "hello";
      const auto replies = client.route_many(requests);
      REQUIRE(replies);
      CHECK(replies->front().has_value());
    } else {
      CHECK(client.route_text("hello").has_value());
    }
    const std::lock_guard lock(mutex);
    CHECK(flags == std::vector<std::uint16_t>{0, 1, 2, 3});
  }
}

}  // namespace tenantd::test::resend_test
