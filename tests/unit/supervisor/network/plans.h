// Plans for the tests of tenantd-network.
#pragma once

#include "shared/contract/network_plan.h"

namespace tenantd::test {

inline IpNetwork v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                    std::uint8_t prefix) {
  IpNetwork network{4, prefix, 0, {}};
  network.bytes[0] = a;
  network.bytes[1] = b;
  network.bytes[2] = c;
  network.bytes[3] = d;
  return network;
}

// 2001:db8::LAST
inline IpNetwork v6(std::uint8_t last, std::uint8_t prefix) {
  IpNetwork network{6, prefix, 0, {0x20, 0x01, 0x0d, 0xb8}};
  network.bytes[15] = last;
  return network;
}

inline void add_rule(NetworkPlan& plan, EgressProtocol protocol, IpNetwork destination,
                     std::uint16_t first_port, std::uint16_t last_port) {
  plan.rules[plan.rule_count++] = {protocol, 0, first_port, last_port, 0, destination};
}

inline NetworkPlan pair_plan() {
  NetworkPlan plan;
  (void)plan.host_link.assign("tnd0123456789ab");
  (void)plan.owner.assign("tenantd 0011223344556677 acme");
  plan.address = v4(10, 77, 0, 2, 30);
  plan.gateway = v4(10, 77, 0, 1, 30);
  return plan;
}

}  // namespace tenantd::test
