#include "supervisor/attach/hello_check.h"

#include <algorithm>
#include <cstring>

namespace tenantd {
namespace {

tl::unexpected<Error> malformed(std::string what) {
  return fail(ErrorCode::protocol_error, "malformed hello: " + std::move(what));
}

template <class Bytes>
bool all_zero(const Bytes& bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0; });
}

// At most N-1 bytes, then only zeros: nothing is hidden behind the terminator.
bool clean_text(const FixedText<64>& text) noexcept {
  const std::size_t size = text.view().size();
  return text.valid() && all_zero(std::span(text.bytes).subspan(size));
}

Status check_target(const Hello& hello, CheckedHello& out) {
  if (!clean_text(hello.tenant_id)) return malformed("the tenant id is not terminated by zeros");
  if (hello.target == HelloTarget::control) {
    if (!hello.tenant_id.view().empty()) return malformed("control has no tenant id");
    return {};
  }
  if (hello.target != HelloTarget::tenant) return malformed("an unknown target");
  auto tenant = TenantId::parse(hello.tenant_id.view());
  if (!tenant) return malformed("not a tenant id");
  out.tenant = *tenant;
  return {};
}

Status check_credential(const Hello& hello, CheckedHello& out) {
  const std::size_t size = hello.token_size;
  if (hello.credential == CredentialKind::peer) {
    if (size != 0 || !all_zero(hello.token)) return malformed("a token with the peer credential");
    return {};
  }
  if (hello.credential != CredentialKind::token) return malformed("an unknown credential");
  if (size < Hello::token_min_bytes || size > Hello::token_max_bytes) {
    return malformed("a token has 16 to 64 bytes");
  }
  if (!all_zero(std::span(hello.token).subspan(size))) return malformed("bytes behind the token");
  out.token = hello.token;
  out.token_size = size;
  return {};
}

}  // namespace

Result<CheckedHello> check_hello(std::span<const std::byte> bytes) {
  Hello hello;
  if (bytes.size() != sizeof hello) return malformed("it has 256 bytes");
  std::memcpy(static_cast<void*>(&hello), bytes.data(), sizeof hello);
  if (hello.magic != Hello::magic_value) return malformed("wrong magic");
  if (hello.size != sizeof hello) return malformed("wrong size");
  if (!all_zero(hello.zero)) return malformed("reserved bytes are not zero");
  CheckedHello out;
  out.target = hello.target;
  out.credential = hello.credential;
  if (const Status target = check_target(hello, out); !target)
    return tl::unexpected(target.error());
  if (const Status credential = check_credential(hello, out); !credential) {
    return tl::unexpected(credential.error());
  }
  if (hello.version_min > hello.version_max) return malformed("an empty range of versions");
  out.protocol_version = std::min(hello.version_max, protocol_version_max);
  if (out.protocol_version < std::max(hello.version_min, protocol_version_min)) {
    return fail(ErrorCode::unsupported, "no common protocol version: this side speaks " +
                                            std::to_string(protocol_version_min) + " to " +
                                            std::to_string(protocol_version_max));
  }
  return out;
}

}  // namespace tenantd
