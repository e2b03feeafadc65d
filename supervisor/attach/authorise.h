// Who may attach: a token that the tenant's file lists, or the peer's own user and groups.
//
// Runs in: supervisor. Pure but for the hash. The kernel vouches for the identity; the hello is a
// claim.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "supervisor/attach/hello_check.h"
#include "supervisor/config/tenant_config.h"

namespace tenantd {

// As of connect(2): SO_PEERCRED and SO_PEERGROUPS.
struct PeerIdentity {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

struct OperatorRules {
  uid_t daemon_uid = 0;
  std::optional<gid_t> admin_gid;  // unset: the group does not exist
};

// Root, the daemon's own user, a member of the admin group.
[[nodiscard]] bool is_operator(const PeerIdentity& peer, const OperatorRules& rules) noexcept;

struct AccessDecision {
  bool granted = false;
  bool as_operator = false;     // by the peer's identity, never by a token
  std::uint32_t token_tag = 0;  // see Attach; of a token that was granted
};

// `access` is null for a tenant that does not exist; the same work is done then. A hello with a
// token is judged by the token alone: it may come from a gateway whose own identity must not widen
// it.
[[nodiscard]] AccessDecision authorise(const CheckedHello& hello, const PeerIdentity& peer,
                                       const OperatorRules& rules, const AccessConfig* access);

}  // namespace tenantd
