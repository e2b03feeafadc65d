#include "supervisor/process/network_claims.h"

#include <doctest/doctest.h>

#include "supervisor/config/network_rules.h"

using namespace tenantd;

namespace {

NetworkClaim claim(const char* interface, const char* address) {
  return {interface, parse_interface_address(address).value()};
}

const TenantId acme = TenantId::parse("acme").value();
const TenantId globex = TenantId::parse("globex").value();

}  // namespace

TEST_CASE("a claim survives the record, and nothing else is one") {
  for (const char* text : {"veth 10.77.0.2/30", "interface eth1 2001:db8::2/64"}) {
    const auto parsed = NetworkClaim::parse(text);
    REQUIRE(parsed);
    CHECK(parsed->text() == text);
  }
  for (const char* text : {"", "veth", "veth ", "veth 10.77.0.2", "interface", "interface ",
                           "interface eth1", "interface  10.0.0.1/8", "bridge 10.77.0.2/30"}) {
    CAPTURE(text);
    CHECK_FALSE(NetworkClaim::parse(text));
  }
}

TEST_CASE("what somebody has is nobody else's until his worker is gone") {
  NetworkClaims claims;
  REQUIRE(claims.take(acme, 1, claim("", "10.77.0.2/30")));
  const auto refusal = [&claims](const NetworkClaim& wanted) {
    const Status taken = claims.take(globex, 1, wanted);
    if (!taken) CHECK(taken.error().code == ErrorCode::unsupported);
    if (taken) claims.release(globex, 1);
    return taken ? "none" : taken.error().message;
  };
  CHECK(refusal(claim("", "10.77.0.2/30")) ==
        "address 10.77.0.2 is tenant acme's, whose worker runs");
  CHECK(refusal(claim("eth1", "10.77.0.2/24")) ==
        "address 10.77.0.2 is tenant acme's, whose worker runs");
  CHECK(refusal(claim("", "10.77.0.6/24")) ==
        "the network of 10.77.0.6/24 overlaps 10.77.0.2/30, which is tenant acme's, whose worker "
        "runs");
  CHECK(refusal(claim("", "10.77.0.6/30")) == "none");
  CHECK(refusal(claim("eth1", "10.77.0.6/24")) == "none");       // not the host's to route
  REQUIRE(claims.take(acme, 2, claim("eth1", "10.77.1.2/24")));  // its file has changed
  CHECK(refusal(claim("", "10.77.0.2/30")) == "none");
  CHECK(refusal(claim("eth1", "10.77.1.3/24")) ==
        "interface eth1 is tenant acme's, whose worker runs");
  CHECK(refusal(claim("eth2", "10.77.1.3/24")) == "none");
  claims.release(acme, 1);  // a late word of the earlier run
  CHECK(refusal(claim("eth1", "10.77.1.3/24")) != "none");
  claims.release(acme, 2);
  CHECK(refusal(claim("eth1", "10.77.1.3/24")) == "none");
}
