// Bytes of a stranger against the hello's checks and the authorisation behind them.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "supervisor/attach/authorise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenantd;
  const auto hello = check_hello(std::as_bytes(std::span(data, size)));
  if (!hello) return 0;
  // What an accepted hello promises to those who use it.
  if ((hello->target == HelloTarget::tenant) != hello->tenant.has_value()) std::abort();
  if (hello->token_size > Hello::token_max_bytes) std::abort();
  if ((hello->credential == CredentialKind::token) != (hello->token_size > 0)) std::abort();
  if (hello->protocol_version < protocol_version_min ||
      hello->protocol_version > protocol_version_max) {
    std::abort();
  }
  AccessConfig access;
  access.users = {1001};
  access.token_sha256.resize(2);
  const PeerIdentity stranger{1, 1003, 1003, {}};
  if (authorise(*hello, stranger, {0, std::nullopt}, &access).granted) std::abort();
  return 0;
}
