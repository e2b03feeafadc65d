#include "supervisor/network/ruleset.h"

#include <doctest/doctest.h>

#include "tests/unit/supervisor/network/plans.h"

using namespace tenantd;
using namespace tenantd::test;

TEST_CASE("the rules let the list out, its answers in, and nothing else") {
  NetworkPlan plan = pair_plan();
  add_rule(plan, EgressProtocol::tcp, v4(203, 0, 113, 0, 24), 443, 443);
  add_rule(plan, EgressProtocol::udp, v4(10, 77, 0, 1, 32), 8000, 8010);
  CHECK(ruleset_text(plan, "net0") ==
        "table inet tenantd {\n"
        "chain output {\n"
        "type filter hook output priority 0; policy drop;\n"
        "oifname != \"net0\" drop\n"
        "ip saddr != 10.77.0.2 drop\n"
        "ip daddr 203.0.113.0/24 tcp dport 443 accept\n"
        "ip daddr 10.77.0.1/32 udp dport 8000-8010 accept\n"
        "}\n"
        "chain input {\n"
        "type filter hook input priority 0; policy drop;\n"
        "iifname != \"net0\" drop\n"
        "ct state established accept\n"
        "ct state related meta l4proto icmp accept\n"
        "}\n"
        "chain forward {\n"
        "type filter hook forward priority 0; policy drop;\n"
        "}\n"
        "}\n");
}

TEST_CASE("IPv6 needs its neighbours, and believes no router") {
  NetworkPlan plan = pair_plan();
  plan.address = v6(2, 64);
  plan.gateway = v6(1, 64);
  add_rule(plan, EgressProtocol::tcp, v6(1, 128), 443, 443);
  const std::string text = ruleset_text(plan, "eth1");
  CHECK(text.find("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept") !=
        std::string::npos);
  CHECK(text.find("ip6 saddr != 2001:db8::2 drop\nip6 daddr 2001:db8::1/128 tcp dport 443") !=
        std::string::npos);
  CHECK(text.find("router") == std::string::npos);
  CHECK(text.find("redirect") == std::string::npos);
}
