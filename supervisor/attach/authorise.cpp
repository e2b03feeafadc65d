#include "supervisor/attach/authorise.h"

#include <sodium.h>

#include <algorithm>

namespace tenantd {
namespace {

// Compares against every digest, found or not: time tells only how many there are.
bool token_listed(const Sha256Digest& digest, const std::vector<Sha256Digest>& listed) {
  bool found = false;
  for (const Sha256Digest& candidate : listed) {
    found |= sodium_memcmp(digest.data(), candidate.data(), digest.size()) == 0;
  }
  return found;
}

Sha256Digest digest_of(const CheckedHello& hello) {
  static_assert(sizeof(Sha256Digest) == crypto_hash_sha256_BYTES);
  Sha256Digest digest{};
  (void)crypto_hash_sha256(digest.data(), hello.token.data(), hello.token_size);
  return digest;
}

// Enough to tell a tenant's tokens apart, nothing that a token could be guessed from.
std::uint32_t tag_of(const Sha256Digest& digest) noexcept {
  std::uint32_t tag = 0;
  for (std::size_t i = 0; i < sizeof tag; ++i) tag = tag << 8U | std::uint32_t{digest[i]};
  return tag;
}

bool peer_listed(const PeerIdentity& peer, const AccessConfig& access) {
  const auto has = [](const std::vector<std::uint32_t>& sorted, std::uint32_t id) {
    return std::binary_search(sorted.begin(), sorted.end(), id);
  };
  return has(access.users, peer.uid) || has(access.groups, peer.gid) ||
         std::any_of(peer.groups.begin(), peer.groups.end(),
                     [&](gid_t group) { return has(access.groups, group); });
}

}  // namespace

bool is_operator(const PeerIdentity& peer, const OperatorRules& rules) noexcept {
  if (peer.uid == 0 || peer.uid == rules.daemon_uid) return true;
  if (!rules.admin_gid) return false;
  return peer.gid == *rules.admin_gid ||
         std::find(peer.groups.begin(), peer.groups.end(), *rules.admin_gid) != peer.groups.end();
}

AccessDecision authorise(const CheckedHello& hello, const PeerIdentity& peer,
                         const OperatorRules& rules, const AccessConfig* access) {
  AccessConfig nobody;
  nobody.operators = false;
  nobody.token_sha256.resize(1);
  const AccessConfig& judged = access != nullptr ? *access : nobody;
  AccessDecision decision;
  if (hello.credential == CredentialKind::token) {
    const Sha256Digest digest = digest_of(hello);
    decision.granted = token_listed(digest, judged.token_sha256) && access != nullptr;
    if (decision.granted) decision.token_tag = tag_of(digest);
    return decision;
  }
  decision.as_operator = is_operator(peer, rules);
  decision.granted = peer_listed(peer, judged) || (judged.operators && decision.as_operator);
  return decision;
}

}  // namespace tenantd
