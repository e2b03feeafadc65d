// How the driver tells a probe what surrounds it: in fields of the launch spec that the jail does
// not look at.
#pragma once

#include <string>
#include <string_view>

#include "shared/contract/launch_spec.h"

namespace tenantd {

struct AttemptOrder {
  std::string_view attempt;  // "<rule>.<name>"
  bool second_stage = false;
  std::uint32_t victim = 0;
  std::uint32_t neighbour = 0;
  std::uint64_t secret_address = 0;
  std::uint16_t tcp_port = 0;
  std::uint16_t udp_port = 0;
  std::uint32_t victim_uid = 0;
  std::uint32_t terminal = 0;
  std::uint64_t skipped_steps = 0;  // for the mutant jail: bits of JailStep
};

inline void write_order(const AttemptOrder& order, LaunchSpec& spec) {
  (void)spec.tenant.tenant_id.assign(order.attempt);
  spec.tenant.router.cache_enabled = order.second_stage ? 1 : 0;
  spec.tenant.max_routes = order.victim;
  spec.tenant.max_batch_size = order.neighbour;
  spec.tenant.max_embeddings = order.secret_address;
  spec.tenant.max_attachments = (std::uint32_t{order.tcp_port} << 16U) | order.udp_port;
  spec.tenant.max_concurrent_requests = order.victim_uid;
  spec.tenant.router.dimension = order.terminal;
  spec.tenant.max_storage_bytes = order.skipped_steps;
}

inline AttemptOrder read_order(const LaunchSpec& spec) {
  AttemptOrder order;
  order.attempt = spec.tenant.tenant_id.view();
  order.second_stage = spec.tenant.router.cache_enabled != 0;
  order.victim = spec.tenant.max_routes;
  order.neighbour = spec.tenant.max_batch_size;
  order.secret_address = spec.tenant.max_embeddings;
  order.tcp_port = static_cast<std::uint16_t>(spec.tenant.max_attachments >> 16U);
  order.udp_port = static_cast<std::uint16_t>(spec.tenant.max_attachments & 0xffffU);
  order.victim_uid = spec.tenant.max_concurrent_requests;
  order.terminal = spec.tenant.router.dimension;
  order.skipped_steps = spec.tenant.max_storage_bytes;
  return order;
}

}  // namespace tenantd
