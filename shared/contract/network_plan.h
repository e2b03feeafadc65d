// The sealed record that tells tenantd-network what network a worker gets.
//
// Written by the supervisor from checked settings, read once by tenantd-network. Layout is private
// to one build: the version is checked.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "shared/contract/fixed_text.h"
#include "shared/contract/ip_network.h"

namespace tenantd {

// Descriptors of tenantd-network; nothing else is open.
inline constexpr int network_report_fd = 1;   // pipe: one line if it fails
inline constexpr int network_plan_fd = 3;     // sealed memfd with a NetworkPlan
inline constexpr int network_worker_fd = 4;   // pidfd of the process that waits at its barrier
inline constexpr int network_barrier_fd = 5;  // written to when all is in place
// It ends by itself: a kernel that does not answer must not hold it.
inline constexpr unsigned network_timeout_s = 10;

enum class EgressProtocol : std::uint8_t { none = 0, tcp = 6, udp = 17 };

// Where a worker may send to.
struct EgressRule {
  EgressProtocol protocol = EgressProtocol::none;
  std::uint8_t reserved = 0;
  std::uint16_t first_port = 0;  // 1 to 65535
  std::uint16_t last_port = 0;
  std::uint16_t reserved_too = 0;
  IpNetwork destination{};
  friend bool operator==(const EgressRule&, const EgressRule&) = default;
};

struct NetworkPlan {
  static constexpr std::uint32_t magic_value = 0x746e646e;  // "tndn"
  static constexpr std::uint32_t version_value = 1;
  static constexpr std::size_t max_rules = 64;
  // What the worker's end of a pair is called inside.
  static constexpr std::string_view inner_name = "net0";

  std::uint32_t magic = magic_value;
  std::uint32_t version = version_value;
  FixedText<16> host_link{};   // the host's end of a veth pair; empty: `interface` is moved
  FixedText<16> interface {};  // of the host, given to the worker
  // Written on the host's end: whose it is. A link of that name with other words is not ours.
  FixedText<128> owner{};
  IpNetwork address{};  // the worker's, with the prefix of its network
  IpNetwork gateway{};  // the same prefix
  std::uint32_t rule_count = 0;
  // 1: for an isolation probe beside the worker: the host's end gets no address.
  std::uint32_t rehearsal = 0;
  std::array<EgressRule, max_rules> rules{};
};

static_assert(std::is_trivially_copyable_v<NetworkPlan>);

}  // namespace tenantd
