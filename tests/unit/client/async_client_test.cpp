// Many requests at once: answers in any order, deadlines, cancelling, bounds, death and GOAWAY in
// the middle; through a descriptor (stream) and as a batch (both transports).
#include "client/include/tenantd/async_client.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "tests/unit/client/fake_server.h"

using namespace tenantd;
using namespace tenantd::test;

namespace async_client_test {

namespace {

AsyncOptions options_for(const FakeServer& server, std::uint64_t timeout_ms = 5000) {
  AsyncOptions options;
  options.connect.socket_path = server.path();
  options.connect.timeout_ms = timeout_ms;
  return options;
}

AsyncClient open_async(const AsyncOptions& options) {
  auto client = AsyncClient::open("acme-corp", options);
  REQUIRE(client.has_value());
  return std::move(*client);
}

// As an event loop does: process only when the descriptor says so.
void run_loop(AsyncClient& client) {
  const std::uint64_t until_ns = monotonic_ns() + 10'000'000'000;
  while (client.outstanding() > 0 && monotonic_ns() < until_ns) {
    pollfd item{client.fd(), POLLIN, 0};
    if (::poll(&item, 1, 10'000) > 0) REQUIRE(client.process().has_value());
  }
  REQUIRE(client.outstanding() == 0);
}

RouteRequest asking(std::string_view text) {
  RouteRequest request;
  request.text = text;
  return request;
}

// Takes `size` requests, then answers them last to first.
void answer_backwards(ServedAttachment& attachment, std::size_t size,
                      const std::atomic<bool>& stop) {
  std::vector<ServedAttachment::Request> requests;
  while (requests.size() < size) {
    auto request = attachment.next(stop);
    if (!request) return;
    requests.push_back(std::move(*request));
  }
  for (auto request = requests.rbegin(); request != requests.rend(); ++request) {
    attachment.serve(*request);
  }
  while (attachment.next(stop)) {
  }
}

}  // namespace

TEST_CASE("answers in any order find their callbacks, by way of the descriptor") {
  FakeServer server([](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
    if (attachment.welcome()) answer_backwards(attachment, 100, stop);
  });
  AsyncClient client = open_async(options_for(server));
  std::vector<std::string> routes(100);
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    const std::string text = "text " + std::to_string(i);
    REQUIRE(client.route(asking(text), [&, i](Result<RouteReply> reply) {
      REQUIRE(reply.has_value());
      routes[static_cast<std::size_t>(i)] = reply->best.route;
      order.push_back(i);
    }));
  }
  CHECK(server.accepted() == 0);  // nothing happens but in process()
  run_loop(client);
  for (int i = 0; i < 100; ++i) {
    CHECK(routes[static_cast<std::size_t>(i)] == "echo:text " + std::to_string(i));
  }
  CHECK(order.front() == 99);
  CHECK(client.statistics().calls == 100);
  CHECK(client.statistics().latency.count() == 100);
  CHECK(server.accepted() == 1);
}

TEST_CASE("a batch is answered in the requests' order on both transports") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    FakeServer server([](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
      if (attachment.welcome()) answer_backwards(attachment, 50, stop);
    });
    auto client = Client::open("acme-corp", ConnectOptions{server.path(), "", transport, 5000});
    REQUIRE(client.has_value());
    std::vector<std::string> texts;
    for (int i = 0; i < 51; ++i) texts.push_back("text " + std::to_string(i));
    texts[7].assign(max_text_bytes + 1, 'x');  // fails alone, unsent
    std::vector<RouteRequest> requests;
    for (const std::string& text : texts) requests.push_back(asking(text));
    const auto replies = client->route_many(requests);
    REQUIRE(replies.has_value());
    REQUIRE(replies->size() == 51);
    for (std::size_t i = 0; i < 51; ++i) {
      const auto& reply = (*replies)[i];
      if (i == 7) {
        CHECK(reply.error().code == ErrorCode::invalid_argument);
        CHECK(reply.error().field == "text");
      } else {
        REQUIRE(reply.has_value());
        CHECK(reply->best.route == "echo:" + texts[i]);
      }
    }
    CHECK(client->transport() == transport);
  }
}

TEST_CASE("batches and calls take turns on one attachment, larger than rings and sockets") {
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    FakeServer server(serve_well);
    auto client = Client::open("acme-corp", ConnectOptions{server.path(), "", transport, 20'000});
    REQUIRE(client.has_value());
    const std::string text(20'000, 'x');
    const std::vector<RouteRequest> requests(300, asking(text));
    for (int round = 0; round < 2; ++round) {
      const auto replies = client->route_many(requests);
      REQUIRE(replies.has_value());
      for (const auto& reply : *replies) REQUIRE(reply.has_value());
      CHECK(client->ping().has_value());
    }
    CHECK(server.accepted() == 1);
    CHECK(client->statistics().late_answers == 0);
  }
}

TEST_CASE("death in the middle: what may run twice is sent again, the rest says so") {
  FakeServer server([](ServedAttachment& attachment, int number, const std::atomic<bool>& stop) {
    if (number >= 1) return serve_well(attachment, number, stop);
    if (!attachment.welcome()) return;
    for (int i = 0; i < 3; ++i) (void)attachment.next(stop);  // takes them and dies
  });
  AsyncClient client = open_async(options_for(server));
  int answered = 0;
  Error error;
  REQUIRE(client.route(asking("one"), [&](Result<RouteReply> r) { answered += r ? 1 : 0; }));
  REQUIRE(client.edit_routes(RoutesEdit{}, [&](Result<RoutesEdited> r) { error = r.error(); }));
  REQUIRE(client.route(asking("two"), [&](Result<RouteReply> r) { answered += r ? 1 : 0; }));
  run_loop(client);
  CHECK(answered == 2);
  CHECK(error.code == ErrorCode::unavailable);
  CHECK(error.message.find("may or may not have run") != std::string::npos);
  CHECK(error.tenant == "acme-corp");
  CHECK(client.statistics().resends == 2);
  CHECK(client.statistics().reconnects == 1);
}

TEST_CASE("after GOAWAY what never ran is sent again, even if it must not run twice") {
  FakeServer server([](ServedAttachment& attachment, int number, const std::atomic<bool>& stop) {
    if (number >= 1) return serve_well(attachment, number, stop);
    if (!attachment.welcome()) return;
    const auto first = attachment.next(stop);
    const auto second = attachment.next(stop);
    if (!first || !second) return;
    Goaway goaway;
    goaway.last_request_id = first->header.request_id;
    attachment.answer(0, goaway);
    attachment.serve(*first);  // what was taken is still answered
  });
  AsyncClient client = open_async(options_for(server));
  int edited = 0;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(client.edit_routes(RoutesEdit{}, [&](Result<RoutesEdited> r) { edited += r ? 1 : 0; }));
  }
  run_loop(client);
  CHECK(edited == 2);
  CHECK(client.statistics().goaways == 1);
  CHECK(client.statistics().resends == 1);
}

TEST_CASE("deadlines are seen without the server's doing, cancelled calls are not called back") {
  FakeServer server([](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
    if (!attachment.welcome()) return;
    std::vector<ServedAttachment::Request> kept;
    while (auto request = attachment.next(stop)) {
      if (request->header.type == static_cast<std::uint16_t>(MessageType::route)) {
        kept.push_back(std::move(*request));
        continue;
      }
      for (const auto& late : kept) attachment.serve(late);
      kept.clear();
      attachment.serve(*request);
    }
  });
  AsyncClient client = open_async(options_for(server));
  ErrorCode code{};
  bool cancelled_called = false;
  REQUIRE(client.ping([](Result<Pong>) {}));
  run_loop(client);  // attached: what is submitted now is sent at once
  REQUIRE(client.route(
      asking("never"), [&](Result<RouteReply> r) { code = r.error().code; }, 50));
  const auto id =
      client.route(asking("cancelled"), [&](Result<RouteReply>) { cancelled_called = true; });
  REQUIRE(id.has_value());
  REQUIRE(client.process().has_value());
  CHECK(client.cancel(*id));
  CHECK_FALSE(client.cancel(*id));
  run_loop(client);
  CHECK(code == ErrorCode::deadline_exceeded);
  bool pinged = false;
  REQUIRE(client.ping([&](Result<Pong> pong) { pinged = pong.has_value(); }));
  run_loop(client);  // the late answers come first and find nobody
  CHECK(pinged);
  CHECK_FALSE(cancelled_called);
  CHECK(client.statistics().late_answers == 2);
  CHECK(client.statistics().timeouts == 1);
}

TEST_CASE("bounds push back, and callbacks may submit the next request") {
  FakeServer server(serve_well);
  AsyncOptions options = options_for(server);
  options.max_outstanding = 4;
  AsyncClient client = open_async(options);
  int left = 50;
  std::function<void(Result<Pong>)> next = [&](Result<Pong> pong) {
    REQUIRE(pong.has_value());
    if (left-- > 0) REQUIRE(client.ping(next).has_value());
  };
  for (int i = 0; i < 4; ++i) REQUIRE(client.ping(next).has_value());
  CHECK(client.ping(next).error().code == ErrorCode::resource_exhausted);
  run_loop(client);
  CHECK(client.statistics().calls == 54);
}

TEST_CASE("nobody listens: a request ends at its deadline and says why") {
  AsyncOptions options;
  options.connect.socket_path = "/nonexistent/tenantd.sock";
  options.connect.timeout_ms = 60;
  AsyncClient client = open_async(options);
  Error error;
  REQUIRE(client.ping([&](Result<Pong> pong) { error = pong.error(); }));
  run_loop(client);
  CHECK(error.code == ErrorCode::unavailable);
  CHECK(error.message.find("/nonexistent") != std::string::npos);
}

TEST_CASE("a refused hello ends every request at once") {
  FakeServer server([](ServedAttachment& attachment, int, const std::atomic<bool>&) {
    Hello hello;
    if (!attachment.read_hello(hello)) return;
    Error refused;
    refused.code = ErrorCode::permission_denied;
    attachment.answer(0, ErrorMessage::from(refused));
  });
  AsyncClient client = open_async(options_for(server));
  int denied = 0;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.ping([&](Result<Pong> pong) {
      denied += pong.error().code == ErrorCode::permission_denied ? 1 : 0;
    }));
  }
  run_loop(client);
  CHECK(denied == 3);
  CHECK(server.accepted() == 1);
}

TEST_CASE("a lying server costs the attachment and the requests that it had") {
  FakeServer server([](ServedAttachment& attachment, int number, const std::atomic<bool>& stop) {
    if (number >= 1) return serve_well(attachment, number, stop);
    if (!attachment.welcome()) return;
    if (const auto request = attachment.next(stop)) {
      attachment.answer(request->header.request_id + 1000, Pong{});
    }
    while (attachment.next(stop)) {
    }
  });
  AsyncClient client = open_async(options_for(server));
  ErrorCode code{};
  REQUIRE(client.ping([&](Result<Pong> pong) { code = pong.error().code; }));
  run_loop(client);
  CHECK(code == ErrorCode::protocol_error);
  bool pinged = false;
  REQUIRE(client.ping([&](Result<Pong> pong) { pinged = pong.has_value(); }));
  run_loop(client);
  CHECK(pinged);
}

TEST_CASE("a server that picks a version outside the hello's range is left") {
  for (const auto version : {std::uint16_t{0}, std::uint16_t{2}}) {
    FakeServer server([version](ServedAttachment& attachment, int, const std::atomic<bool>&) {
      Hello hello;
      if (!attachment.read_hello(hello)) return;
      if (hello.version_min != 1 || hello.version_max != 1) return;
      Welcome welcome;
      welcome.version = version;
      attachment.answer(0, welcome);
    });
    AsyncClient client = open_async(options_for(server));
    ErrorCode code{};
    REQUIRE(client.ping([&](Result<Pong> pong) { code = pong.error().code; }));
    run_loop(client);
    CHECK(code == ErrorCode::unsupported);
    CHECK(Client::open("acme-corp", options_for(server).connect).error().code ==
          ErrorCode::unsupported);
  }
}

TEST_CASE("a callback may cancel a request whose answer is already here") {
  FakeServer server([](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
    if (attachment.welcome()) answer_backwards(attachment, 3, stop);
  });
  AsyncClient client = open_async(options_for(server));
  std::vector<AsyncClient::RequestId> ids;
  std::vector<std::size_t> called;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto id = client.ping([&, i](Result<Pong>) {
      called.push_back(i);
      if (i == 2) CHECK(client.cancel(ids[1]));
      CHECK_FALSE(client.cancel(ids[i]));  // has ended
    });
    REQUIRE(id.has_value());
    ids.push_back(*id);
  }
  run_loop(client);
  CHECK(called == std::vector<std::size_t>{2, 0});
  CHECK(client.statistics().late_answers == 1);
}

TEST_CASE("a forked child is refused, and its end does not touch the parent's attachment") {
  FakeServer server(serve_well);
  auto client = Client::open("acme-corp", ConnectOptions{server.path(), "", Transport::ring, 5000});
  FakeServer other(serve_well);
  AsyncClient async = open_async(options_for(other));
  REQUIRE(client.has_value());
  REQUIRE(async.ping([](Result<Pong>) {}));
  run_loop(async);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool refused = client->ping().error().code == ErrorCode::unsupported &&
                         async.process().error().code == ErrorCode::unsupported &&
                         !client->route_many({}).has_value();
    { const AsyncClient gone = std::move(async); }
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(client->ping().has_value());
  bool pinged = false;
  REQUIRE(async.ping([&](Result<Pong> pong) { pinged = pong.has_value(); }));
  run_loop(async);
  CHECK(pinged);
}

TEST_CASE("signals end no call: EINTR is waited through") {
  FakeServer server([](ServedAttachment& attachment, int, const std::atomic<bool>& stop) {
    if (!attachment.welcome()) return;
    while (const auto request = attachment.next(stop)) {
      ::kill(::getpid(), SIGUSR1);
      attachment.serve(*request);
    }
  });
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  struct sigaction before {};
  REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
  for (const Transport transport : {Transport::stream, Transport::ring}) {
    auto client = Client::open("acme-corp", ConnectOptions{server.path(), "", transport, 10'000});
    REQUIRE(client.has_value());
    for (int i = 0; i < 200; ++i) REQUIRE(client->ping().has_value());
    const std::vector<RouteRequest> requests(100, asking("x"));
    const auto replies = client->route_many(requests);
    REQUIRE(replies.has_value());
    for (const auto& reply : *replies) REQUIRE(reply.has_value());
  }
  REQUIRE(::sigaction(SIGUSR1, &before, nullptr) == 0);
}

}  // namespace async_client_test
