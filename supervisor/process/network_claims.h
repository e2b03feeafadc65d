// Which worker has what of the host's networks: nothing is given twice.
//
// Runs in: the supervisor. A worker's claim is in its run record too, so that the next supervisor
// knows it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shared/base/error.h"
#include "shared/base/tenant_id.h"
#include "shared/contract/ip_network.h"

namespace tenantd {

struct NetworkClaim {
  std::string interface;  // of the host; empty: a pair of its own
  IpNetwork address{};    // with the prefix of its network

  // "veth 10.77.0.2/30", "interface eth1 10.77.0.2/30"
  [[nodiscard]] std::string text() const;
  [[nodiscard]] static std::optional<NetworkClaim> parse(std::string_view text);
};

class NetworkClaims {
 public:
  // Replaces what an earlier run of the tenant had. Error: unsupported, naming who has it. Two
  // pairs need networks that do not overlap, since the host would not know which is meant; two
  // interfaces may be in one network with an address each.
  [[nodiscard]] Status take(const TenantId& tenant, std::uint64_t generation,
                            const NetworkClaim& claim);
  // Of that run; a later one's stays.
  void release(const TenantId& tenant, std::uint64_t generation);

 private:
  struct Taken {
    std::uint64_t generation = 0;
    NetworkClaim claim;
  };
  std::unordered_map<TenantId, Taken> taken_;
};

}  // namespace tenantd
