#include "supervisor/process/network_claims.h"

#include "supervisor/config/network_rules.h"

namespace tenantd {
namespace {

constexpr std::string_view pair_word = "veth ";
constexpr std::string_view interface_word = "interface ";

Status refuse(const std::string& what, const TenantId& owner) {
  return fail(ErrorCode::unsupported, what + " tenant " + owner.str() + "'s, whose worker runs",
              "give this tenant another one, or remove the other; then tenantctl tenant restart");
}

}  // namespace

std::string NetworkClaim::text() const {
  const std::string kind(interface.empty() ? pair_word : interface_word);
  return kind + interface + (interface.empty() ? "" : " ") + network_text(address);
}

std::optional<NetworkClaim> NetworkClaim::parse(std::string_view text) {
  NetworkClaim claim;
  if (text.starts_with(pair_word)) {
    text.remove_prefix(pair_word.size());
  } else if (text.starts_with(interface_word)) {
    text.remove_prefix(interface_word.size());
    const std::size_t space = std::min(text.find(' '), text.size());
    claim.interface = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (claim.interface.empty()) return std::nullopt;
  } else {
    return std::nullopt;
  }
  const auto address = parse_interface_address(text);
  if (!address) return std::nullopt;
  claim.address = *address;
  return claim;
}

Status NetworkClaims::take(const TenantId& tenant, std::uint64_t generation,
                           const NetworkClaim& claim) {
  for (const auto& [owner, other] : taken_) {
    if (owner == tenant) continue;
    const NetworkClaim& theirs = other.claim;
    if (!claim.interface.empty() && claim.interface == theirs.interface) {
      return refuse("interface " + claim.interface + " is", owner);
    }
    const std::string address = address_text(claim.address);
    if (host_of(claim.address) == host_of(theirs.address)) {
      return refuse("address " + address + " is", owner);
    }
    const bool pairs = claim.interface.empty() && theirs.interface.empty();
    if (pairs && overlap(claim.address, theirs.address)) {
      return refuse("the network of " + network_text(claim.address) + " overlaps " +
                        network_text(theirs.address) + ", which is",
                    owner);
    }
  }
  taken_[tenant] = {generation, claim};
  return {};
}

void NetworkClaims::release(const TenantId& tenant, std::uint64_t generation) {
  const auto found = taken_.find(tenant);
  if (found != taken_.end() && found->second.generation == generation) taken_.erase(found);
}

}  // namespace tenantd
