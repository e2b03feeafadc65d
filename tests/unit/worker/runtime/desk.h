// A running worker with two routes, and clients of it: what every test of transports begins with.
#pragma once

#include <doctest/doctest.h>

#include "shared/base/clock.h"
#include "tests/unit/worker/runtime/worker_process.h"

namespace tenantd::test {

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

inline void teach(RawClient& client) {
  const Frame billing = client.call(1, put_route("billing", {"refund my invoice", "pay the bill"}));
  REQUIRE(billing.type() == MessageType::routes_edited);
  const Frame login = client.call(2, put_route("login", {"reset my password", "cannot log in"}));
  REQUIRE(login.type() == MessageType::routes_edited);
  CHECK(login.as<RoutesEdited>().routes == 2);
  CHECK(login.as<RoutesEdited>().utterances == 4);
}

}  // namespace tenantd::test
